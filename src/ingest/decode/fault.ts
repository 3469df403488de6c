/** Why a record can't be read. The reason names coordinates and types, never a value: values may be personal data. */
export class DecodeFault extends Error {}

/**
 * Thrown when a number was read that JavaScript's own may have rounded: the record is then read once more, digit by digit. Most
 * records hold no such number, so the fast parser goes first.
 */
export const inexact: unique symbol = Symbol('inexact')
