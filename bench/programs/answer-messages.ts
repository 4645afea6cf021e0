/** Answers each message of the bench with what `run` returns. A failure is logged and ends the process. */
export function answerMessages<Message>(run: (message: Message) => Promise<object>): void {
  process.on('message', (message: Message) => {
    void run(message).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.once('disconnect', () => process.exit());
  process.send?.('ready');
}
