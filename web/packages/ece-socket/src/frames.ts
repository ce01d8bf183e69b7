import type { components } from './messages'

type Schemas = components['schemas']

/** The last event that a client has of a channel. */
export type Position = Schemas['Position']
export type AuctionState = Schemas['AuctionState']
export type TradeState = Schemas['TradeState']
export type Legs = Schemas['Legs']
export type BidReply = Schemas['BidReply']
export type HelloReply = Schemas['HelloReply']
export type Failure = Schemas['Failure']
export type ErrorCode = Schemas['ErrorCode']
export type BidData = Schemas['BidData']
export type ListedData = Schemas['ListedData']
export type ExtendedData = Schemas['ExtendedData']
export type ClosedData = Schemas['ClosedData']

interface Frame {
  channel: string
  epoch: number
  seq: number
  at: number
}

/** An event of any channel: `data` by its `type`. */
export interface EventFrame extends Frame {
  type: string
  data: Record<string, unknown>
}

/** Of the moment: in no log, without a place in the sequence; it may be lost. */
export interface SignalFrame {
  channel: string
  type: string
  at: number
  data: Record<string, unknown>
}

/** Stands in place of all events up to its `seq`. */
export interface StateFrame extends Frame {
  type: 'state'
  data: unknown
  watchers?: number
}

export interface SubscribeReply {
  id: number
  ok: true
  epoch: number
  seq: number
  recovered: boolean
  watchers: number
  events?: EventFrame[]
  state?: unknown
}

export type Reply = { id: number; ok: true; [field: string]: unknown } | Failure

/** What a follower of a channel gets. `S` is the channel's state. */
export type Update<S> =
  | { kind: 'state'; state: S; at: number; epoch: number; seq: number; watchers?: number }
  | { kind: 'event'; event: EventFrame }
  | { kind: 'signal'; signal: SignalFrame }
  | { kind: 'watchers'; watchers: number }
  | { kind: 'refused'; error: Failure['error'] }

/** Whether a frame has its place in the sequence: signals have none. */
export function isPlaced(frame: EventFrame | StateFrame | SignalFrame): frame is EventFrame | StateFrame {
  return 'seq' in frame
}

export function isState(frame: EventFrame | StateFrame): frame is StateFrame {
  return frame.type === 'state'
}
