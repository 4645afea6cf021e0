import { expect, test } from '@jest/globals';
import { csvLine } from '../../api/csv.ts';

test.each([
  ['=1+1', "'=1+1\r\n"],
  ['run;=HYPERLINK(1)', "run;'=HYPERLINK(1)\r\n"],
  ['run; "@SUM(1)', `"run;' ""@SUM(1)"\r\n`],
  ['a,b;-1', `"a,b;'-1"\r\n`],
  ['{"project":"x;+1"}', `"{""project"":""x;'+1""}"\r\n`],
  ['a; b-c', 'a; b-c\r\n'],
  ['2026-01-31', '2026-01-31\r\n'],
])('a spreadsheet reads %j as text, with a comma or a semicolon between cells', (cell, line) => {
  expect(csvLine([cell])).toBe(line);
});
