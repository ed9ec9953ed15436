// Holds EPCIS documents against epcis2.js: file names in, a line of JSON out for each.
const fs = require('fs');
const lib = require('epcis2.js');

lib.setup({ checkExtensions: true });
const types = ['ObjectEvent', 'AggregationEvent', 'TransformationEvent', 'TransactionEvent', 'AssociationEvent'];

const judge = (document) => {
  const verdict = { problems: [], events: document.epcisBody.eventList.length };
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
  document.epcisBody.eventList.forEach((event, at) => {
    const kind = types.includes(event.type) ? event.type : 'ExtendedEvent';
    attempt(`event ${at} ${event['trace:recordType']}`, () => lib.validateAgainstSchema(event, kind));
  });
  return verdict;
};

process.argv.slice(2).forEach((file) => console.log(JSON.stringify(judge(JSON.parse(fs.readFileSync(file, 'utf8'))))));
