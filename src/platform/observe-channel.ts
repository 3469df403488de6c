/**
 * By which a gateway has ingest ask where the logs end (`notify`): the message is a moment of the primary's clock, in milliseconds, after which
 * they are to be asked.
 */
export const observeChannel = 'forebay_observe'
