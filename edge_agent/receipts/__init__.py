"""What a buyer takes along: receipts, labels and certificates made from kept records, and the proof in their QR codes.

Sans-I/O: kept events in, documents for a printer or a page out. Nothing here decides whether something is sold; a
receipt is made from what is already in the store.
"""

from edge_agent.receipts.documents import Issuer, Printout, certificate, label, receipt
from edge_agent.receipts.offline_proof import PREFIX, OfflineProof, check, of_sale

__all__ = ["PREFIX", "Issuer", "OfflineProof", "Printout", "certificate", "check", "label", "of_sale", "receipt"]
