/** How much of it is done, 0 to 1: beside a text that says so, which screen readers get. */
export function ProgressBar({ part, label }: { part: number; label: string }) {
  return <progress className="progress" value={part} max={1} aria-label={label} />
}
