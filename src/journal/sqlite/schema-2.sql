-- The attempt that was last begun again after it had been cut off: its number, and its place in a row of holds.
ALTER TABLE notification ADD COLUMN repeated TEXT;
