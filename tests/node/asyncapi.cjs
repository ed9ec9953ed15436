// Holds an AsyncAPI document against @asyncapi/parser: file name in, one line of JSON out.
const fs = require('fs');
const { Parser } = require('@asyncapi/parser');

new Parser().parse(fs.readFileSync(process.argv[2], 'utf8')).then(({ document, diagnostics }) => {
  const found = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('/') }));
  const channels = document ? document.allChannels().all().map((channel) => channel.address()) : [];
  const operations = document ? document.operations().all().map((each) => `${each.action()} ${each.id()}`) : [];
  console.log(JSON.stringify({ version: document && document.version(), channels, operations, diagnostics: found }));
});
