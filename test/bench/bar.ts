/** Prints whether a measured value keeps within its bar. */
export function printBar(what: string, measured: string, isMet: boolean): void {
  console.log(`  ${isMet ? 'met    ' : 'NOT MET'}  ${what}: ${measured}`);
}
