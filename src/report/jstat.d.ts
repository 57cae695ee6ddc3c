/** The part of jstat that is used; the package has no types of its own. */
declare module 'jstat' {
  const jstat: { studentt: { cdf(t: number, degreesOfFreedom: number): number } };
  export default jstat;
}
