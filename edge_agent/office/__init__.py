"""The box's own office: what keeps records that no station makes, and what finds kept ones again.

bookkeeper            the books of a box, shared by its stations and brought up from the store
registrar cataloguer corrector clerk watchman
                      keep one thing each: devices, the catalogue, corrections, what people note, the box's absences
lookups figures slips find: what the page asks for, the figures of the days, what is printed of a sale
repeats signing_desk  a request that came before; what may be asked of the signing key
"""
