// Numbers in words.

/** 83.4 -> "1:23" */
export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "0:00";
  const whole = Math.floor(seconds);
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** 83.4 -> "1 minute 23 seconds", for screen readers */
export function spokenClock(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${many(minutes, "minute")} ${many(whole % 60, "second")}` : many(whole, "second");
}

export const many = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

export const distance = (value) => value.toFixed(2);

export const latency = (seconds) => (seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`);
