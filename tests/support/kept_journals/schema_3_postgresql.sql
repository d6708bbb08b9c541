--
-- PostgreSQL database dump
--

-- Dumped from database version 16.2
-- Dumped by pg_dump version 16.2

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit_rows_refuse(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.audit_rows_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'audit rows are append-only'; END$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: audit_rows; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_rows (
    tenant text NOT NULL,
    sequence bigint NOT NULL,
    job_id text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    body_json text NOT NULL,
    salt text,
    prompt text,
    previous_digest text NOT NULL,
    digest text NOT NULL,
    create_us bigint NOT NULL
);


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    "position" bigint NOT NULL,
    job_id text NOT NULL,
    sequence bigint NOT NULL,
    tenant text NOT NULL,
    owner text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    track text,
    stage text,
    attempt integer NOT NULL,
    steps_done integer NOT NULL,
    steps_total integer NOT NULL,
    fraction double precision NOT NULL,
    time_left_s double precision,
    error text,
    time_us bigint NOT NULL
);


--
-- Name: events_position_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.events_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: events_position_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.events_position_seq OWNED BY public.events."position";


--
-- Name: job_labels; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.job_labels (
    job_id text NOT NULL,
    name text NOT NULL,
    value text NOT NULL
);


--
-- Name: jobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.jobs (
    job_id text NOT NULL,
    tenant text NOT NULL,
    owner text NOT NULL,
    request_id text NOT NULL,
    persona_id text NOT NULL,
    create_us bigint NOT NULL,
    last_sequence bigint NOT NULL,
    next_version integer NOT NULL,
    deleting boolean NOT NULL
);


--
-- Name: measured_failures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.measured_failures (
    tenant text NOT NULL,
    job_id text NOT NULL,
    number integer NOT NULL,
    rerendered_stem text NOT NULL,
    error text NOT NULL,
    create_us bigint NOT NULL
);


--
-- Name: meta; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.meta (
    name text NOT NULL,
    value text NOT NULL
);


--
-- Name: requests; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.requests (
    tenant text NOT NULL,
    rpc text NOT NULL,
    request_id text NOT NULL,
    digest text NOT NULL,
    job_id text NOT NULL,
    version integer NOT NULL
);


--
-- Name: versions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.versions (
    job_id text NOT NULL,
    number integer NOT NULL,
    owner text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL,
    crashes integer NOT NULL,
    stems_wanted boolean NOT NULL,
    stem_mode text NOT NULL,
    base_version integer NOT NULL,
    rerendered_stem text NOT NULL,
    brief text NOT NULL,
    plan text NOT NULL,
    files text NOT NULL,
    loudness text,
    timings text NOT NULL,
    error text,
    checkpointed_stage text,
    audio_s double precision NOT NULL,
    work_s double precision,
    expire_us bigint,
    create_us bigint NOT NULL,
    queued_us bigint NOT NULL,
    start_us bigint,
    end_us bigint,
    claim_token text,
    worker text,
    lease_until_us bigint,
    render_position bigint,
    stems_position bigint
);


--
-- Name: events position; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ALTER COLUMN "position" SET DEFAULT nextval('public.events_position_seq'::regclass);


--
-- Data for Name: audit_rows; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_rows VALUES ('local', 1, 'j-01m8h0djg0gvrwrzv8140bzn00', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:03.000000Z","jobId":"j-01m8h0djg0gvrwrzv8140bzn00","kind":"BOUNCE","promptSha256":"1d2adc42f89ace1d9164176322d462671a2f9d82ece7c45977dc4acaf7fc9866","seed":7,"sequence":1,"tenant":"local","version":1}', 'd93a92f64d72d35b013585127c1aae150aa208e1ed0ec633c4ed42a7051c2971', 'warm tape piano, sombre, seventy beats', '0000000000000000000000000000000000000000000000000000000000000000', '7c334c254cd52b249ab6ec76316fd9c0fd36a50e8a8e12715cf6c673b7a04960', 1795867203000000);
INSERT INTO public.audit_rows VALUES ('local', 2, 'j-01m8h0djg0gvrwrzv8140bzn00', 2, 'STEMS', '{"createdAt":"2026-11-28T12:00:05.000000Z","jobId":"j-01m8h0djg0gvrwrzv8140bzn00","kind":"STEMS","promptSha256":"be6e2ff3cdd6686d760b3452312ba9d38cde28b722d2fd1c38286a4b5a856464","seed":7,"sequence":2,"tenant":"local","version":2}', '844fd5681e79c1ea1864731104c65d3dc109a28240d5fe4b0d1d7e5724faa300', 'warm tape piano, sombre, seventy beats', '7c334c254cd52b249ab6ec76316fd9c0fd36a50e8a8e12715cf6c673b7a04960', 'bf1e125cbad22902ea8a926d7b29aee04f6c45d22f0d3f827c1256dcd6b3b7b2', 1795867205000000);
INSERT INTO public.audit_rows VALUES ('local', 3, 'j-01m8h0dqc8w47hvg05gx2z9grx', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:08.000000Z","jobId":"j-01m8h0dqc8w47hvg05gx2z9grx","kind":"BOUNCE","promptSha256":"7cf521e2043bedaa0ca972297250b425a75476876e47773e7a2d7ed267d95afb","seed":7,"sequence":3,"tenant":"local","version":1}', 'c838bf1b871370924e2f1cf4a3533b96ea8a6b2dd76e64243631c817927dc2b8', 'warm tape piano, sombre, seventy beats', 'bf1e125cbad22902ea8a926d7b29aee04f6c45d22f0d3f827c1256dcd6b3b7b2', 'b65735138e4e91602f81b6ed890f783f815510642aff20789cd12a7646ee17a5', 1795867208000000);
INSERT INTO public.audit_rows VALUES ('local', 4, 'j-01m8h0dta0wc3cc2cx59mt2sse', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:11.000000Z","jobId":"j-01m8h0dta0wc3cc2cx59mt2sse","kind":"BOUNCE","promptSha256":"d8bb1dcf61ac89f822303e8cc1569457a95918b762703da9e57a4939d557376a","seed":7,"sequence":4,"tenant":"local","version":1}', NULL, NULL, 'b65735138e4e91602f81b6ed890f783f815510642aff20789cd12a7646ee17a5', '9f53992353053f4e6eec249048d38d343da7d9878b471ade8bdeb645717c713d', 1795867211000000);


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.events VALUES (1, 'j-01m8h0djg0gvrwrzv8140bzn00', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867200000000);
INSERT INTO public.events VALUES (2, 'j-01m8h0djg0gvrwrzv8140bzn00', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867201000000);
INSERT INTO public.events VALUES (3, 'j-01m8h0djg0gvrwrzv8140bzn00', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (4, 'j-01m8h0djg0gvrwrzv8140bzn00', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (5, 'j-01m8h0djg0gvrwrzv8140bzn00', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (6, 'j-01m8h0djg0gvrwrzv8140bzn00', 6, 'local', 'RENDER', 2, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (7, 'j-01m8h0djg0gvrwrzv8140bzn00', 7, 'local', 'RENDER', 2, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (8, 'j-01m8h0djg0gvrwrzv8140bzn00', 8, 'local', 'RENDER', 2, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867205000000);
INSERT INTO public.events VALUES (9, 'j-01m8h0djg0gvrwrzv8140bzn00', 9, 'local', 'RENDER', 2, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867205000000);
INSERT INTO public.events VALUES (10, 'j-01m8h0djg0gvrwrzv8140bzn00', 10, 'local', 'RENDER', 2, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867205000000);
INSERT INTO public.events VALUES (19, 'j-01m8h0dqc8w47hvg05gx2z9grx', 9, 'local', 'RENDER', 2, 'DELETED', 'FAILED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867208000000);
INSERT INTO public.events VALUES (20, 'j-01m8h0dta0wc3cc2cx59mt2sse', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867208000000);
INSERT INTO public.events VALUES (21, 'j-01m8h0dta0wc3cc2cx59mt2sse', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867209000000);
INSERT INTO public.events VALUES (22, 'j-01m8h0dta0wc3cc2cx59mt2sse', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (23, 'j-01m8h0dta0wc3cc2cx59mt2sse', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (24, 'j-01m8h0dta0wc3cc2cx59mt2sse', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (25, 'j-01m8h0dx7rt4nxv49mwnhhhac6', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (26, 'j-01m8h0dx7rt4nxv49mwnhhhac6', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (27, 'j-01m8h0dy70ttjb07dm1pcvfr0r', 1, 'local', 'SEPARATION', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867212000000);


--
-- Data for Name: job_labels; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.job_labels VALUES ('j-01m8h0djg0gvrwrzv8140bzn00', 'scene', 'intro ü');


--
-- Data for Name: jobs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.jobs VALUES ('j-01m8h0djg0gvrwrzv8140bzn00', 'local', 'RENDER', 'r1', 'nova', 1795867200000000, 10, 3, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dta0wc3cc2cx59mt2sse', 'local', 'RENDER', 'r3', 'nova', 1795867208000000, 5, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dx7rt4nxv49mwnhhhac6', 'local', 'RENDER', 'r4', 'nova', 1795867211000000, 2, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dy70ttjb07dm1pcvfr0r', 'local', 'SEPARATION', 'r5', 'nova', 1795867212000000, 1, 2, false);


--
-- Data for Name: measured_failures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.measured_failures VALUES ('local', 'j-01m8h0dqc8w47hvg05gx2z9grx', 2, 'VOCALS', '{"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "DRIFT_EXCEEDED", "metadata": {"onsets": "40"}}]}', 1795867208000000);


--
-- Data for Name: meta; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.meta VALUES ('schema_version', '3');
INSERT INTO public.meta VALUES ('token_key', '8474bec6fb5898e42618a0f76e74156f591f166f556cb1a74b2f042aa6ae9532');


--
-- Data for Name: requests; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.requests VALUES ('local', 'Create', 'r1', 'd1', 'j-01m8h0djg0gvrwrzv8140bzn00', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r3', '', 'j-01m8h0dta0wc3cc2cx59mt2sse', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r4', 'd1', 'j-01m8h0dx7rt4nxv49mwnhhhac6', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r5', 'd1', 'j-01m8h0dy70ttjb07dm1pcvfr0r', 1);


--
-- Data for Name: versions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.versions VALUES ('j-01m8h0djg0gvrwrzv8140bzn00', 2, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 1, 'VOCALS', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[]', NULL, 'BOUNCE', 8, 2, NULL, 1795867203000000, 1795867203000000, 1795867203000000, 1795867205000000, NULL, NULL, NULL, 9, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0djg0gvrwrzv8140bzn00', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[]', NULL, 'BOUNCE', 8, 2, NULL, 1795867200000000, 1795867200000000, 1795867201000000, 1795867203000000, NULL, NULL, NULL, 4, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dta0wc3cc2cx59mt2sse', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": ""}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[]', NULL, 'BOUNCE', 8, 2, NULL, 1795867208000000, 1795867208000000, 1795867209000000, 1795867211000000, NULL, NULL, NULL, 23, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dx7rt4nxv49mwnhhhac6', 1, 'RENDER', 'RUNNING', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867211000000, 1795867211000000, 1795867212000000, NULL, 'eca8490ed1633a26d19adec656b3eb72', '31558-8a391865db3a3a80', 1795867242000000, NULL, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dy70ttjb07dm1pcvfr0r', 1, 'SEPARATION', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867212000000, 1795867212000000, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Name: events_position_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_position_seq', 27, true);


--
-- Name: audit_rows audit_rows_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_rows
    ADD CONSTRAINT audit_rows_pkey PRIMARY KEY (tenant, sequence);


--
-- Name: audit_rows audit_rows_tenant_job_id_version_kind_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_rows
    ADD CONSTRAINT audit_rows_tenant_job_id_version_kind_key UNIQUE (tenant, job_id, version, kind);


--
-- Name: events events_job_id_sequence_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_job_id_sequence_key UNIQUE (job_id, sequence);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");


--
-- Name: job_labels job_labels_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_labels
    ADD CONSTRAINT job_labels_pkey PRIMARY KEY (job_id, name);


--
-- Name: jobs jobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (job_id);


--
-- Name: measured_failures measured_failures_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.measured_failures
    ADD CONSTRAINT measured_failures_pkey PRIMARY KEY (tenant, job_id, number);


--
-- Name: meta meta_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (name);


--
-- Name: requests requests_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (tenant, rpc, request_id);


--
-- Name: versions versions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (job_id, number);


--
-- Name: events_feed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_feed ON public.events USING btree (owner, tenant, "position");


--
-- Name: ix_requests_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_requests_job_id ON public.requests USING btree (job_id);


--
-- Name: jobs_newest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX jobs_newest ON public.jobs USING btree (tenant, create_us, job_id);


--
-- Name: versions_measured; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_measured ON public.versions USING btree (owner, state, end_us);


--
-- Name: versions_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_waiting ON public.versions USING btree (owner, state, queued_us);


--
-- Name: audit_rows audit_rows_keep; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON public.audit_rows FOR EACH ROW WHEN (((new.tenant IS DISTINCT FROM old.tenant) OR (new.sequence IS DISTINCT FROM old.sequence) OR (new.job_id IS DISTINCT FROM old.job_id) OR (new.version IS DISTINCT FROM old.version) OR (new.kind IS DISTINCT FROM old.kind) OR (new.body_json IS DISTINCT FROM old.body_json) OR (new.previous_digest IS DISTINCT FROM old.previous_digest) OR (new.digest IS DISTINCT FROM old.digest) OR (new.create_us IS DISTINCT FROM old.create_us) OR (new.prompt IS NOT NULL) OR (new.salt IS NOT NULL))) EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: audit_rows audit_rows_stay; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_stay BEFORE DELETE ON public.audit_rows FOR EACH ROW EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: audit_rows audit_rows_whole; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_whole BEFORE TRUNCATE ON public.audit_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: job_labels job_labels_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_labels
    ADD CONSTRAINT job_labels_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: requests requests_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: versions versions_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

