import { connectDatabase } from '../../database/connection.ts';
import { readEnvironment } from '../../environment.ts';
import { runCommand } from '../../run-command.ts';
import { type LedgerFinding, type VerificationProgress, verifyLedger } from './verify-ledger.ts';

/**
 * `npm run ledger:verify`: checks the rules of the ledger on the live database. Findings go to stdout, progress to
 * stderr. Exit codes: 0 if every rule holds, 1 if one does not, 2 if the check failed.
 */
await runCommand(async () => {
  const { databaseUrl } = readEnvironment(process.env, ['databaseUrl']);
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  try {
    const { teams, holds, transfers, found, milliseconds } = await verifyLedger(database, {
      onProgress: showProgress(),
      onFinding: (finding) => console.log(describe(finding)),
    });
    const seen = `${teams} teams, ${transfers} transfers and ${holds} holds in ${seconds(milliseconds)}`;
    console.log(found === 0 ? `Every rule holds: ${seen}.` : `${found} findings: ${seen}.`);
    if (found > 0) process.exitCode = 1;
  } finally {
    await database.close();
  }
}, 2);

function describe({ rule, holds, teamId, subject, expected, found, lookNext }: LedgerFinding): string {
  return [
    `✗ ${rule}: ${subject}${teamId === null ? '' : ` of team ${teamId}`}`,
    `    rule      ${holds}`,
    `    expected  ${expected}`,
    `    found     ${found}`,
    `    look at   ${lookNext}`,
  ].join('\n');
}

/** On a terminal one line that is overwritten, in a file one line every five seconds. */
function showProgress(): (progress: VerificationProgress) => void {
  let last = 0;
  return ({ walk, done, total, transfers, found, milliseconds }) => {
    const tells = process.stderr.isTTY || done === total || milliseconds - last >= 5_000;
    if (!tells) return;
    last = milliseconds;
    const line = `${walk} ${done}/${total}, ${transfers} transfers, ${found} findings, ${seconds(milliseconds)}`;
    process.stderr.write(
      process.stderr.isTTY ? `\r\x1b[K  ${line}${done === total ? '\n' : ''}` : `  ${line}\n`,
    );
  };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}
