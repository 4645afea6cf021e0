// Loaded before each script that dev/run.mjs runs: ends the script, as SIGTERM would, when run.mjs is gone.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
