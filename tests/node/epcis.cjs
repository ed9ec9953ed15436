// Holds an EPCIS document against epcis2.js: file name in, one line of JSON out.
const fs = require('fs');
const lib = require('epcis2.js');

const document = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
lib.setup({ checkExtensions: true });
const verdict = { problems: [] };
const attempt = (what, check) => {
  try {
    const result = check();
    if (result !== true && !(result && result.success)) verdict.problems.push(`${what}: ${JSON.stringify(result)}`);
  } catch (problem) {
    verdict.problems.push(`${what}: ${problem.message}`);
  }
};
attempt('document', () => lib.validateEpcisDocument(document, false));
attempt('object', () => new lib.EPCISDocument(document).isValid());
const types = ['ObjectEvent', 'AggregationEvent', 'TransformationEvent', 'TransactionEvent', 'AssociationEvent'];
document.epcisBody.eventList.forEach((event, at) => {
  const kind = types.includes(event.type) ? event.type : 'ExtendedEvent';
  attempt(`event ${at} ${event['trace:recordType']}`, () => lib.validateAgainstSchema(event, kind));
});
verdict.events = document.epcisBody.eventList.length;
console.log(JSON.stringify(verdict));
