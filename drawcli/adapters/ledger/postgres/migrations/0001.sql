-- The ledger of any number of sites. Rows are separated by site with row-level security: a login
-- role sees the sites that drawcli.site_role gives it. All times are the clock of the database.
CREATE SCHEMA drawcli;

CREATE TABLE drawcli.schema_version (
  version integer PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  applied_by text NOT NULL DEFAULT current_user
);

CREATE TABLE drawcli.site (
  site text PRIMARY KEY CHECK (site ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE drawcli.site_role (
  role name NOT NULL,
  site text NOT NULL REFERENCES drawcli.site,
  PRIMARY KEY (role, site)
);

-- The clock of leases; a function of its own, so that tests can set it.
CREATE FUNCTION drawcli.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS 'SELECT clock_timestamp()';

CREATE SEQUENCE drawcli.changes;

CREATE TABLE drawcli.job (
  site text NOT NULL REFERENCES drawcli.site,
  id text COLLATE "C" NOT NULL CHECK (id ~ '^[0-9a-f]{12}-[1-9][0-9]{0,4}$'),
  series_key text NOT NULL,
  state text NOT NULL,
  since timestamptz NOT NULL,
  due_at timestamptz,
  held boolean NOT NULL,
  priority integer NOT NULL,
  source_digest text NOT NULL,
  revision bigint NOT NULL,
  month text,                        -- set when the job is archived
  record text NOT NULL,              -- the job as JSON, in ASCII
  changed bigint NOT NULL DEFAULT nextval('drawcli.changes'),
  fence bigint NOT NULL DEFAULT 0,   -- counts the claims; a write needs the latest
  lease_host text,
  lease_pid integer,
  lease_boot text,
  lease_until timestamptz,
  home text,                         -- the host that has files of the job that no other has
  PRIMARY KEY (site, id)
) WITH (fillfactor = 70);            -- room in a page for claims and renewals, which touch no index
CREATE INDEX job_open ON drawcli.job (site, state, priority DESC, since, id) WHERE month IS NULL;
CREATE INDEX job_series ON drawcli.job (site, series_key);
CREATE INDEX job_month ON drawcli.job (site, month) WHERE month IS NOT NULL;
CREATE INDEX job_state ON drawcli.job (site, state, since, id);
-- What `status` shows of a hundred thousand jobs: those that somebody should look at.
CREATE INDEX job_concern ON drawcli.job (site) WHERE month IS NULL AND (held
  OR record LIKE '%"reason_code":"dicom-node"%' OR record LIKE '%"reason_code":"commitment"%'
  OR record LIKE '%,"warning: %');
CREATE INDEX job_changed ON drawcli.job (site, changed);

-- Files of a work folder that every host needs, sealed with the key of the site.
CREATE TABLE drawcli.job_file (
  site text NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  digest text NOT NULL,
  place text,                        -- its object in the shared storage; NULL: `sealed` has it
  sealed bytea,
  PRIMARY KEY (site, job_id, name)
);

CREATE TABLE drawcli.host (
  site text NOT NULL REFERENCES drawcli.site,
  host text NOT NULL,
  boot text NOT NULL,
  version text NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  facts text NOT NULL DEFAULT '{}',  -- its workers and queues, as JSON
  PRIMARY KEY (site, host)
);

-- A server that asked to wait; no host of the site uploads before.
CREATE TABLE drawcli.server_wait (
  site text NOT NULL REFERENCES drawcli.site,
  server text NOT NULL,
  until timestamptz NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (site, server)
);

-- The jobs that count for a limit of a step over all hosts (cluster.limits). A row counts while the
-- claim with its fence is valid, so it needs no renewal, and that of a dead host ends by itself.
CREATE TABLE drawcli.slot (
  site text NOT NULL REFERENCES drawcli.site,
  step text NOT NULL,
  job_id text NOT NULL,
  fence bigint NOT NULL,
  PRIMARY KEY (site, step, job_id)
);

CREATE TABLE drawcli.site_state (
  site text NOT NULL REFERENCES drawcli.site,
  name text NOT NULL,
  value text NOT NULL,
  set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (site, name)
);

-- A ledger that is being moved, or was moved, takes no change but those of the move itself.
CREATE FUNCTION drawcli.refuse_moved() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  note text;
BEGIN
  IF current_setting('drawcli.moving', true) = 'on' THEN
    RETURN NEW;
  END IF;
  SELECT value INTO note FROM drawcli.site_state WHERE site = NEW.site AND name = 'moved';
  IF FOUND THEN
    RAISE EXCEPTION 'the ledger of site % %', NEW.site, note USING ERRCODE = 'DM001';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER refuse_moved BEFORE INSERT OR UPDATE ON drawcli.job
  FOR EACH ROW EXECUTE FUNCTION drawcli.refuse_moved();

DO $$
BEGIN
  CREATE ROLE drawcli_site NOLOGIN;  -- roles are of the server, tables of a database of it
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;
DO $$
BEGIN  -- a site stores its rows and makes no tables of its own
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
EXCEPTION WHEN insufficient_privilege OR invalid_schema_name THEN NULL;
END
$$;
GRANT USAGE ON SCHEMA drawcli TO drawcli_site;
GRANT USAGE ON SEQUENCE drawcli.changes TO drawcli_site;
GRANT SELECT ON drawcli.schema_version, drawcli.site, drawcli.site_role TO drawcli_site;
GRANT SELECT, INSERT, UPDATE ON drawcli.job TO drawcli_site;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON drawcli.job_file, drawcli.host, drawcli.server_wait, drawcli.slot, drawcli.site_state
  TO drawcli_site;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['job', 'job_file', 'host', 'server_wait', 'slot', 'site_state'] LOOP
    EXECUTE format('ALTER TABLE drawcli.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY of_site ON drawcli.%I TO drawcli_site '
      'USING (site IN (SELECT site FROM drawcli.site_role WHERE role = session_user)) '
      'WITH CHECK (site IN (SELECT site FROM drawcli.site_role WHERE role = session_user))', name);
  END LOOP;
END
$$;
ALTER TABLE drawcli.site ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_site ON drawcli.site TO drawcli_site
  USING (site IN (SELECT site FROM drawcli.site_role WHERE role = session_user));
ALTER TABLE drawcli.site_role ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_role ON drawcli.site_role TO drawcli_site USING (role = session_user);

-- The group view: what each site tells about itself, and nothing else of it.
DO $$
BEGIN
  CREATE ROLE drawcli_group NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;
CREATE VIEW drawcli.site_summary WITH (security_barrier) AS
  SELECT site.site, told.value, told.set_at FROM drawcli.site AS site
  LEFT JOIN drawcli.site_state AS told ON told.site = site.site AND told.name = 'summary';
GRANT USAGE ON SCHEMA drawcli TO drawcli_group;
GRANT SELECT ON drawcli.site_summary TO drawcli_group;
