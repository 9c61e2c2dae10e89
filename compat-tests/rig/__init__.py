"""What the compatibility tests share: brokers to start and hurt, waiting, the protocol by hand, clients in other languages."""
