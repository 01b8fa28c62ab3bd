/**
 * What vitest is asked for when somebody names tests of one folder: `npm run test:unit -- ring -t locate`. It takes each name for one more
 * that is wanted, so the folder itself stands there only when there are none.
 */

/** Names come first, with or without the folder; from the first flag on all is vitest's. */
export function vitestArguments(folder: string, given: readonly string[]): readonly string[] {
  const flagsAt = given.findIndex((text) => text.startsWith('-'));
  const names = flagsAt < 0 ? given : given.slice(0, flagsAt);
  const whole = names.map((name) => (name.startsWith(folder) ? name : `${folder}/${name}`));
  return [...(whole.length === 0 ? [folder] : whole), ...given.slice(names.length)];
}
