-- Migration 2: the device's clock beside each sample.

-- Hertz, little-endian binary64, one a sample in the same order, 0 where not known; empty where the
-- device told none, as in every result of before.
ALTER TABLE results ADD COLUMN sample_clocks BLOB NOT NULL DEFAULT x'';
