-- What the benefit system says: one row a message, written in the transaction of what it is about, never changed.
CREATE TABLE signaalhub_outbox (
  nummer BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sleutel VARCHAR(64) NOT NULL UNIQUE DEFAULT replace(gen_random_uuid()::text, '-', ''),
  bericht VARCHAR(12) NOT NULL CHECK (bericht IN ('VOORGENOMEN', 'INGETROKKEN', 'UITGEVOERD')),
  maatregel VARCHAR(64) NOT NULL,
  gemeentecode VARCHAR(4) NOT NULL,
  bsn VARCHAR(9),
  achternaam VARCHAR(100),
  geboortedatum VARCHAR(8),
  maatregelsoort VARCHAR(30),
  aanleiding VARCHAR(30),
  aantal_contactpogingen INTEGER,
  gepland_op DATE,
  bezwaar_tot DATE,
  extra_contact_nodig BOOLEAN,
  lopend_hulptraject VARCHAR(30),
  uitgevoerd_op DATE,
  redencode VARCHAR(30),
  betrokkene_geinformeerd VARCHAR(30),
  contactrol VARCHAR(60),
  status VARCHAR(10),
  redenen TEXT,
  behandeld_op TIMESTAMP WITH TIME ZONE
);
CREATE INDEX signaalhub_outbox_wachtend ON signaalhub_outbox (maatregel, nummer) WHERE status IS NULL;

-- What the connector answers: one row a measure. The benefit system reads it and never writes it.
CREATE TABLE signaalhub_guard (
  maatregel VARCHAR(64) PRIMARY KEY,
  mag BOOLEAN NOT NULL,
  code VARCHAR(60),
  gevraagd_op TIMESTAMP WITH TIME ZONE,
  stand VARCHAR(10) NOT NULL,
  laatste_rij BIGINT NOT NULL,
  gemeentecode VARCHAR(4) NOT NULL,
  signaal_id VARCHAR(36),
  keten VARCHAR(64)
);
