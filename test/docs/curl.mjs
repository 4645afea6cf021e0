#!/usr/bin/env node
// What curl does with the options of docs/integrating.md, for machines without curl. Prints the body, then the status in a line.
const [, , ...given] = process.argv;
const request = { method: 'GET', headers: {} };
let url = '';
while (given.length > 0) {
  const option = given.shift();
  if (option === '-X') request.method = given.shift();
  else if (option === '-H') {
    const [, name, value] = /^([^:]+): ?(.*)$/.exec(given.shift());
    request.headers[name] = value;
  } else if (option === '-d') {
    request.body = given.shift();
    if (request.method === 'GET') request.method = 'POST';
  } else if (option.startsWith('-')) throw new Error(`curl.mjs has no option ${option}`);
  else url = option;
}
const answer = await fetch(url, request);
process.stdout.write(`${await answer.text()}\n${answer.status}`);
