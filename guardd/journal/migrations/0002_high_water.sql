-- The high of each balance's equity since 00:00 UTC, and what it is measured from. Derived from the chain.
CREATE TABLE high_water (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT;
