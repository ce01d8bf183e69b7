/** Nothing was sent: there is no connection. */
export class NotConnected extends Error {
  override name = 'NotConnected'
}

/** The connection ended before the reply came. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost'
}

/** No answer within the time: nobody knows whether it happened. The same key may be sent again. */
export class OutcomeUnknown extends Error {
  override name = 'OutcomeUnknown'
}
