export type Progress = {
  /** A line of its own. */
  say(line: string): void;
  /** Shows the current step, then a tick with its result and how long it took. */
  step<T>(what: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>;
};

/** Progress on a terminal. In a file only finished steps are written. */
export function showProgress(out: NodeJS.WriteStream = process.stdout): Progress {
  out.on('error', () => {}); // the terminal may close before we end
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
