"""Jobs for the chain, and the signed transactions that do them."""
