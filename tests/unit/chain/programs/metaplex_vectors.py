"""What the official client of Metaplex Core (`@metaplex-foundation/mpl-core` 1.10.0, Node 20) writes, recorded.

Addresses are 32 equal bytes: payer 1, collection 2, authority 3, asset 4, owner 5, new owner 6.
"""

# Data, then accounts as (address, signs, is written).
INSTRUCTIONS = {
    "collection": (
        "15030000005365740a000000697066733a2f2f73657401000000000100000000",
        [(2, True, True), (3, False, False), (1, True, True), ("system", False, False)],
    ),
    "collection-royalty": (
        "15030000005365740a000000697066733a2f2f736574010100000000f401010000000303030303030303030303030303"
        "0303030303030303030303030303030303036400000100000000",
        [(2, True, True), (3, False, False), (1, True, True), ("system", False, False)],
    ),
    "asset-royalty": (
        "140007000000436172642023310b000000697066733a2f2f63617264010100000000fa00010000000303030303030303"
        "0303030303030303030303030303030303030303030303036400000100000000",
        [
            (4, True, True),
            (2, False, True),
            (3, True, False),
            (1, True, True),
            (5, False, False),
            ("core", False, False),
            ("system", False, False),
            ("core", False, False),
        ],
    ),
    "asset": (
        "140007000000436172642023310b000000697066733a2f2f6361726401000000000100000000",
        [
            (4, True, True),
            (2, False, True),
            (3, True, False),
            (1, True, True),
            (5, False, False),
            ("core", False, False),
            ("system", False, False),
            ("core", False, False),
        ],
    ),
    "asset-alone": (
        "140007000000436172642023310b000000697066733a2f2f6361726401000000000100000000",
        [
            (4, True, True),
            ("core", False, False),
            ("core", False, False),
            (1, True, True),
            (5, False, False),
            (3, False, False),
            ("system", False, False),
            ("core", False, False),
        ],
    ),
    "transfer": (
        "0e00",
        [
            (4, False, True),
            (2, False, False),
            (1, True, True),
            (5, True, False),
            (6, False, False),
            ("core", False, False),
            ("core", False, False),
        ],
    ),
    "transfer-alone": (
        "0e00",
        [
            (4, False, True),
            ("core", False, False),
            (1, True, True),
            (5, True, False),
            (6, False, False),
            ("core", False, False),
            ("core", False, False),
        ],
    ),
}
# Data of accounts.
ACCOUNTS = {
    "asset": (
        "010505050505050505050505050505050505050505050505050505050505050505020202020202020202020202020202"
        "02020202020202020202020202020202020207000000436172642023310b000000697066733a2f2f6361726400"
    ),
    "asset-royalty": (
        "010505050505050505050505050505050505050505050505050505050505050505020202020202020202020202020202"
        "02020202020202020202020202020202020207000000436172642023310b000000697066733a2f2f6361726400038f00"
        "00000000000000fa00010000000303030303030303030303030303030303030303030303030303030303030303640004"
        "010000000002660000000000000000000000"
    ),
    "collection": (
        "050303030303030303030303030303030303030303030303030303030303030303030000005365740a00000069706673"
        "3a2f2f7365740700000006000000"
    ),
    "asset-alone-seq": (
        "010505050505050505050505050505050505050505050505050505050505050505010303030303030303030303030303"
        "03030303030303030303030303030303030307000000436172642023310b000000697066733a2f2f6361726401090000"
        "0000000000"
    ),
    "asset-none": ("0105050505050505050505050505050505050505050505050505050505050505050002000000c3a90000000000"),
}
