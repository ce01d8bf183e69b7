export { applyAuctionEvent } from './auction'
export { afterClose, reconnectDelayMs } from './backoff'
export { ServerClock } from './clock'
export { ConnectionLost, NotConnected, OutcomeUnknown } from './errors'
export type {
  AuctionState,
  BidData,
  BidReply,
  ClosedData,
  ErrorCode,
  EventFrame,
  ExtendedData,
  Failure,
  Legs,
  ListedData,
  Position,
  SignalFrame,
  TradeState,
  Update,
} from './frames'
export { type CommandReply, EceSocket, type SocketOptions, type Status } from './socket'
