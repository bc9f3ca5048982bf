-- Nobody moves rows between the tiers until this transaction ends.
SELECT lock_tiering(shared => false)
