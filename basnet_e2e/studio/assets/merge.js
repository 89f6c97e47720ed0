// Two changes of one annotation made one: what each added or removed. No page, no server.

const keyOf = (span) => JSON.stringify(span);
const isUnknown = ([label]) => label === "";

/** Parts of the stretches `from` that are not in any of `holes`; both `[start, end]`. */
export function subtract(from, holes) {
  let left = from;
  for (const [start, end] of holes) {
    left = left.flatMap(([a, b]) => {
      if (end <= a || start >= b) return [[a, b]];
      return [
        [a, Math.min(start, b)],
        [Math.max(end, a), b],
      ].filter(([x, y]) => y - x > 1e-3);
    });
  }
  return left;
}

/** Parts that are in both. */
export function intersect(some, others) {
  const found = [];
  for (const [a, b] of some) {
    for (const [c, d] of others) {
      if (Math.min(b, d) - Math.max(a, c) > 1e-3) found.push([Math.max(a, c), Math.min(b, d)]);
    }
  }
  return found;
}

/**
 * The change from `base` to `mine` made on `theirs`; null where both changed one thing differently.
 * All are `{labels, spans}` as the server sends them.
 */
export function merge(base, mine, theirs) {
  const labels = mergeSets(base.labels, mine.labels, theirs.labels);
  const before = new Set((base.spans || []).map(keyOf));
  const real = (one) => (one.spans || []).filter((span) => !isUnknown(span));
  const removed = (one) => {
    const kept = new Set((one.spans || []).map(keyOf));
    return [...before].filter((key) => !kept.has(key) && !isUnknown(JSON.parse(key)));
  };
  const added = (one) => real(one).map(keyOf).filter((key) => !before.has(key));
  const both = removed(mine).filter((key) => removed(theirs).includes(key));
  const differ = added(mine).some((key) => !added(theirs).includes(key)) && added(theirs).length;
  if (both.length && differ) return null;
  const gone = new Set(removed(mine));
  const keys = new Set([...real(theirs).map(keyOf).filter((key) => !gone.has(key)), ...added(mine)]);
  const spans = [...keys].map((key) => JSON.parse(key));
  const stretches = (one) => (one.spans || []).filter(isUnknown).map(([, start, end]) => [start, end]);
  let open = stretches(theirs);
  if (mine.spans && theirs.spans && (base.spans || stretches(mine).length)) {
    open = intersect(stretches(mine), stretches(theirs));
  } else if (mine.spans) {
    open = subtract(stretches(mine), real(theirs).filter((s) => s[2] !== null).map((s) => s.slice(1)));
  }
  for (const [start, end] of open) spans.push(["", start, end]);
  const looked = mine.spans !== null || (theirs.spans !== null && !(base.spans && !mine.spans));
  return { labels, spans: looked ? spans : null };
}

function mergeSets(base, mine, theirs) {
  if (JSON.stringify(mine) === JSON.stringify(base)) return theirs;
  if (JSON.stringify(theirs) === JSON.stringify(base)) return mine;
  const removed = (base || []).filter((each) => !(mine || []).includes(each));
  const added = (mine || []).filter((each) => !(base || []).includes(each));
  return [...new Set([...(theirs || []), ...added])].filter((each) => !removed.includes(each));
}
