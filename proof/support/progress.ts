const REDRAW_MS = 500;
const LINE_EVERY_MS = 10_000;
const WIDTH = 110;

/** Shows how far a command is: on a terminal one line that changes, elsewhere a line now and then. */
export function startProgress(describe: () => string): { say(line: string): void; end(): void } {
  const { isTTY } = process.stdout;
  const show = () => {
    if (isTTY) process.stdout.write(`\r${describe().slice(0, WIDTH).padEnd(WIDTH)}`);
    else console.log(describe());
  };
  const timer = setInterval(show, isTTY ? REDRAW_MS : LINE_EVERY_MS);
  return {
    /** Prints a line that stays. */
    say(line) {
      console.log(isTTY ? `\r${line.padEnd(WIDTH)}` : line);
    },
    end() {
      clearInterval(timer);
      if (isTTY) process.stdout.write(`\r${"".padEnd(WIDTH)}\r`);
    },
  };
}
