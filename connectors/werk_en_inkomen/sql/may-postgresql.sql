SELECT EXISTS (
  SELECT 1 FROM signaalhub_guard
  WHERE maatregel = :maatregel AND mag
    AND gevraagd_op > CAST(:nu AS timestamptz) - INTERVAL '15 minutes'
    AND gevraagd_op < CAST(:nu AS timestamptz) + INTERVAL '1 minute'
    AND NOT EXISTS (SELECT 1 FROM signaalhub_outbox WHERE maatregel = :maatregel AND status IS NULL)
)
