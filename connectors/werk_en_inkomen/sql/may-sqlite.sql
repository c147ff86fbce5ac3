SELECT EXISTS (
  SELECT 1 FROM signaalhub_guard
  WHERE maatregel = :maatregel AND mag
    AND datetime(gevraagd_op) > datetime(:nu, '-15 minutes')
    AND datetime(gevraagd_op) < datetime(:nu, '+1 minute')
    AND NOT EXISTS (SELECT 1 FROM signaalhub_outbox WHERE maatregel = :maatregel AND status IS NULL)
)
