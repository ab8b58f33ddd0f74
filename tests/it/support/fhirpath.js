// Evaluates paths with fhirpath.js: a line of JSON {resource, path, model} in, a line of values out.
const engine = require('fhirpath');
const models = {};
const compiled = {};

function shown(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return String(value);
  const text = String(value.asStr ?? value);
  return text === '[object Object]' ? {} : text;
}

require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { resource, path, model } = JSON.parse(line);
  models[model] ??= require(`fhirpath/fhir-context/${model}`);
  try {
    compiled[model + path] ??= engine.compile(path, models[model]);
    console.log(JSON.stringify(compiled[model + path](resource).map(shown)));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
});
