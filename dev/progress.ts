export type Progress = {
  /** A line of its own. */
  say(line: string): void;
  /** Shows what is being done, then a tick with what came of it and how long it took. */
  step<T>(what: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>;
};

/** Progress on a terminal, or in a file where only what is finished is written. */
export function showProgress(out: NodeJS.WriteStream = process.stdout): Progress {
  out.on('error', () => {}); // the terminal may be gone before we are
  const clear = out.isTTY ? '\r\x1b[K' : '';
  let pending = '';
  const say = (line: string) => void out.write(`${clear}${line}\n${pending}`);
  return {
    say,
    step: async (what, work) => {
      const started = performance.now();
      const took = () => `(${((performance.now() - started) / 1000).toFixed(1)} s)`;
      const details: string[] = [];
      pending = out.isTTY ? `  … ${what}` : '';
      out.write(pending);
      try {
        const result = await work((text) => void details.push(text));
        pending = '';
        say(`  ✓ ${[what, ...details].join(', ')} ${took()}`);
        return result;
      } catch (error) {
        pending = '';
        say(`  ✗ ${what} ${took()}`);
        throw error;
      }
    },
  };
}
