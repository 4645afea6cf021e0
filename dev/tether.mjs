// Loaded before each script that dev/run.mjs runs: if run.mjs ends, ends the script like SIGTERM.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
