-- What the sponsor pays for at present; challenges, opens and vouchers go by it.
CREATE TABLE sponsor (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    opens              INTEGER NOT NULL CHECK (opens IN (0, 1)),
    top_ups            INTEGER NOT NULL CHECK (top_ups IN (0, 1)),
    vouchers           INTEGER NOT NULL CHECK (vouchers IN (0, 1)),
    channels_per_payer INTEGER NOT NULL CHECK (channels_per_payer > 0),
    minimum_top_up     INTEGER NOT NULL CHECK (minimum_top_up >= 0),
    -- Lamports a day for one payer, and what an open takes of them.
    payer_budget       INTEGER NOT NULL CHECK (payer_budget >= 0),
    open_charge        INTEGER NOT NULL CHECK (open_charge >= 0),
    published_at       INTEGER NOT NULL
) STRICT;

-- What counts against a payer's limit of channels.
CREATE INDEX channels_live_by_payer ON channels (payer) WHERE state IN ('opening', 'open', 'closing');
