-- The tables of every peer. node/prisma/schema.prisma has the same shape.
CREATE TABLE auction (
  id        integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  title     text NOT NULL,
  current   bigint NOT NULL,
  bid_count integer NOT NULL DEFAULT 0,
  leader_id integer,
  ends_at   timestamptz(3) NOT NULL
);

CREATE TABLE bid (
  id         bigserial PRIMARY KEY,
  auction_id integer NOT NULL REFERENCES auction (id),
  bidder_id  integer NOT NULL,
  amount     bigint NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);

CREATE INDEX ON bid (auction_id, id);
