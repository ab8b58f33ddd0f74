// Answers each line: a resource with its XML as fhir.js writes it, a text with the resource that
// fhir.js reads in it.
const { Fhir } = require('fhir');
const lines = require('readline').createInterface({ input: process.stdin });
const fhir = new Fhir();

lines.on('line', (line) => {
  const asked = JSON.parse(line);
  try {
    console.log(JSON.stringify(typeof asked === 'string' ? fhir.xmlToObj(asked) : fhir.objToXml(asked)));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
});
