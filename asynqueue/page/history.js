// What has been seen while the page was open. The queue counts from its beginning;
// what happened in a span of time is the difference of two looks.

export const SPAN = 300;

function difference(later, earlier) {
  return {
    bounds: later.bounds,
    counts: later.counts.map((n, i) => n - earlier.counts[i]),
    total: later.total - earlier.total,
  };
}

export function sum(histogram) {
  return histogram.counts.reduce((a, b) => a + b, 0);
}

// By proportion within the bucket that it falls into, null if there is nothing. The
// last bucket has no upper bound, and counts as if it had ten times its lower one.
export function median(histogram) {
  const half = sum(histogram) / 2;
  if (!half) return null;
  let below = 0;
  for (let i = 0; i < histogram.counts.length; i++) {
    const n = histogram.counts[i];
    if (below + n >= half) {
      const low = i ? histogram.bounds[i - 1] : 0;
      const high = i < histogram.bounds.length ? histogram.bounds[i] : 10 * low;
      const part = (half - below) / n;
      return low ? low * (high / low) ** part : high * part;
    }
    below += n;
  }
  return null;
}

export class History {
  constructor() {
    this.looks = [];
    this.points = [];
  }

  add(look) {
    const last = this.looks.at(-1);
    if (last !== undefined && look.time === last.time) return;
    if (last !== undefined && !this.follows(look, last)) {
      // It is another queue by now, or the clock was set back.
      this.looks = [];
      this.points = [];
    }
    this.points.push(this.point(look, this.looks.at(-1)));
    this.looks.push(look);
    const begin = look.time - SPAN;
    while (this.looks.length > 2 && this.looks[1].time < begin) this.looks.shift();
    while (this.points.length && this.points[0].time < begin) this.points.shift();
  }

  follows(look, last) {
    return (
      look.time > last.time &&
      look.done >= last.done &&
      look.failed >= last.failed &&
      look.callSeconds.counts.length === last.callSeconds.counts.length
    );
  }

  // What came between two looks; the first has none before it.
  point(look, last) {
    const now = { time: look.time, waiting: look.waiting, inHand: look.inHand };
    if (last === undefined) return { ...now, rate: null, call: null, overhead: null };
    const seconds = look.time - last.time;
    return {
      ...now,
      rate: (look.done + look.failed - last.done - last.failed) / seconds,
      call: median(difference(look.callSeconds, last.callSeconds)),
      overhead: median(difference(look.overheadSeconds, last.overheadSeconds)),
    };
  }

  // The last look, and the one that is so many seconds older, or the oldest.
  pair(seconds) {
    const last = this.looks.at(-1);
    const old = this.looks.find((look) => look.time >= last.time - seconds - 0.5);
    return [last, old];
  }

  // The histogram of a span, or of all time.
  histogram(name, seconds) {
    const [last, old] = this.pair(seconds);
    return seconds === Infinity ? last[name] : difference(last[name], old[name]);
  }
}
