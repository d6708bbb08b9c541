BEGIN TRANSACTION;
CREATE TABLE audit_rows (
	tenant TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	job_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	body_json TEXT NOT NULL, 
	salt TEXT, 
	prompt TEXT, 
	previous_digest TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	PRIMARY KEY (tenant, sequence), 
	UNIQUE (tenant, job_id, version, kind)
);
INSERT INTO "audit_rows" VALUES('local',1,'j-01m8h0djg03x4b5gvwmf32jsmp',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:03.000000Z","jobId":"j-01m8h0djg03x4b5gvwmf32jsmp","kind":"BOUNCE","promptSha256":"cbc9f669d0586c722d78441026e6ae9aa5036a2e7c86829993d23f3c717a88fd","seed":7,"sequence":1,"tenant":"local","version":1}','83cbd125178cd7d9f7fab94204f52a0ddb2460c4178dd784690e492b0e0a5b5e','warm tape piano, sombre, seventy beats','0000000000000000000000000000000000000000000000000000000000000000','52efb4d4568efb94e41d366d9a499f05d2a3f47f633df65b7a3f3a4da22fbe80',1795867203000000);
INSERT INTO "audit_rows" VALUES('local',2,'j-01m8h0djg03x4b5gvwmf32jsmp',2,'STEMS','{"createdAt":"2026-11-28T12:00:05.000000Z","jobId":"j-01m8h0djg03x4b5gvwmf32jsmp","kind":"STEMS","promptSha256":"a6bff9f8030fdc4e4651760e56eed6b788f0915d20f3fe1a372d3016c34c83e7","seed":7,"sequence":2,"tenant":"local","version":2}','7c0321520087919674d1b5b63924c30cedd9abe38c38ec8dfdd112c7fda0a8aa','warm tape piano, sombre, seventy beats','52efb4d4568efb94e41d366d9a499f05d2a3f47f633df65b7a3f3a4da22fbe80','1dd0c1ed430be05404e96d805ad08d3834813a867fe13c02f735a23846a6f6cd',1795867205000000);
INSERT INTO "audit_rows" VALUES('local',3,'j-01m8h0dqc857tex198503vrgya',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:08.000000Z","jobId":"j-01m8h0dqc857tex198503vrgya","kind":"BOUNCE","promptSha256":"98709d7ac90bb00a0d6abd44489bf20da374f65c5c8e623cdc5dba66acb5f3db","seed":7,"sequence":3,"tenant":"local","version":1}','ae86b621e36b247dbb368f5ba830f114eddf89b12bfa6c1f5f52192551fe3ff5','warm tape piano, sombre, seventy beats','1dd0c1ed430be05404e96d805ad08d3834813a867fe13c02f735a23846a6f6cd','0668321299518f5d6cff92eef723aa3195bd007b5e20c963e17849377709bc76',1795867208000000);
INSERT INTO "audit_rows" VALUES('local',4,'j-01m8h0dta0r7qt1p59xfthrp4y',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:11.000000Z","jobId":"j-01m8h0dta0r7qt1p59xfthrp4y","kind":"BOUNCE","promptSha256":"2808718981ce75f1734ae9ac7d0bc007bbb1910e1143119b019774a60a9c5b49","seed":7,"sequence":4,"tenant":"local","version":1}',NULL,NULL,'0668321299518f5d6cff92eef723aa3195bd007b5e20c963e17849377709bc76','59592a141f9e7ea53d900ff3750e98b014f43f0640746552d15c791601f2d6a4',1795867211000000);
CREATE TABLE events (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	tenant TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	track TEXT, 
	stage TEXT, 
	attempt INTEGER NOT NULL, 
	steps_done INTEGER NOT NULL, 
	steps_total INTEGER NOT NULL, 
	fraction FLOAT NOT NULL, 
	time_left_s FLOAT, 
	error TEXT, 
	time_us BIGINT NOT NULL, 
	UNIQUE (job_id, sequence)
);
INSERT INTO "events" VALUES(1,'j-01m8h0djg03x4b5gvwmf32jsmp',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867200000000);
INSERT INTO "events" VALUES(2,'j-01m8h0djg03x4b5gvwmf32jsmp',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867201000000);
INSERT INTO "events" VALUES(3,'j-01m8h0djg03x4b5gvwmf32jsmp',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(4,'j-01m8h0djg03x4b5gvwmf32jsmp',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(5,'j-01m8h0djg03x4b5gvwmf32jsmp',5,'local','RENDER',1,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(6,'j-01m8h0djg03x4b5gvwmf32jsmp',6,'local','RENDER',2,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(7,'j-01m8h0djg03x4b5gvwmf32jsmp',7,'local','RENDER',2,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(8,'j-01m8h0djg03x4b5gvwmf32jsmp',8,'local','RENDER',2,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867205000000);
INSERT INTO "events" VALUES(9,'j-01m8h0djg03x4b5gvwmf32jsmp',9,'local','RENDER',2,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867205000000);
INSERT INTO "events" VALUES(10,'j-01m8h0djg03x4b5gvwmf32jsmp',10,'local','RENDER',2,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867205000000);
INSERT INTO "events" VALUES(19,'j-01m8h0dqc857tex198503vrgya',9,'local','RENDER',2,'DELETED','FAILED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867208000000);
INSERT INTO "events" VALUES(20,'j-01m8h0dta0r7qt1p59xfthrp4y',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867208000000);
INSERT INTO "events" VALUES(21,'j-01m8h0dta0r7qt1p59xfthrp4y',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867209000000);
INSERT INTO "events" VALUES(22,'j-01m8h0dta0r7qt1p59xfthrp4y',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(23,'j-01m8h0dta0r7qt1p59xfthrp4y',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(24,'j-01m8h0dta0r7qt1p59xfthrp4y',5,'local','RENDER',1,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(25,'j-01m8h0dx7rme7azrzmrr7w2w00',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(26,'j-01m8h0dx7rme7azrzmrr7w2w00',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(27,'j-01m8h0dy70z04s7aq17mkkp9gc',1,'local','SEPARATION',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867212000000);
CREATE TABLE job_labels (
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (job_id, name), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "job_labels" VALUES('j-01m8h0djg03x4b5gvwmf32jsmp','scene','intro ü');
CREATE TABLE jobs (
	job_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	persona_id TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	last_sequence BIGINT NOT NULL, 
	next_version INTEGER NOT NULL, 
	deleting BOOLEAN NOT NULL, 
	PRIMARY KEY (job_id)
);
INSERT INTO "jobs" VALUES('j-01m8h0djg03x4b5gvwmf32jsmp','local','RENDER','r1','nova',1795867200000000,10,3,0);
INSERT INTO "jobs" VALUES('j-01m8h0dta0r7qt1p59xfthrp4y','local','RENDER','r3','nova',1795867208000000,5,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0dx7rme7azrzmrr7w2w00','local','RENDER','r4','nova',1795867211000000,2,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0dy70z04s7aq17mkkp9gc','local','SEPARATION','r5','nova',1795867212000000,1,2,0);
CREATE TABLE measured_failures (
	tenant TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	rerendered_stem TEXT NOT NULL, 
	error TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	PRIMARY KEY (tenant, job_id, number)
);
INSERT INTO "measured_failures" VALUES('local','j-01m8h0dqc857tex198503vrgya',2,'VOCALS','{"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "DRIFT_EXCEEDED", "metadata": {"onsets": "40"}}]}',1795867208000000);
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema_version','3');
INSERT INTO "meta" VALUES('token_key','f0f90cd0856a5c86295754984e3007813789ebc1dd02cb8c300af8a16835f718');
CREATE TABLE requests (
	tenant TEXT NOT NULL, 
	rpc TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (tenant, rpc, request_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "requests" VALUES('local','Create','r1','d1','j-01m8h0djg03x4b5gvwmf32jsmp',1);
INSERT INTO "requests" VALUES('local','Create','r3','','j-01m8h0dta0r7qt1p59xfthrp4y',1);
INSERT INTO "requests" VALUES('local','Create','r4','d1','j-01m8h0dx7rme7azrzmrr7w2w00',1);
INSERT INTO "requests" VALUES('local','Create','r5','d1','j-01m8h0dy70z04s7aq17mkkp9gc',1);
CREATE TABLE versions (
	job_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	stems_wanted BOOLEAN NOT NULL, 
	stem_mode TEXT NOT NULL, 
	base_version INTEGER NOT NULL, 
	rerendered_stem TEXT NOT NULL, 
	brief TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	files TEXT NOT NULL, 
	loudness TEXT, 
	timings TEXT NOT NULL, 
	error TEXT, 
	checkpointed_stage TEXT, 
	audio_s FLOAT NOT NULL, 
	work_s FLOAT, 
	expire_us BIGINT, 
	create_us BIGINT NOT NULL, 
	queued_us BIGINT NOT NULL, 
	start_us BIGINT, 
	end_us BIGINT, 
	claim_token TEXT, 
	worker TEXT, 
	lease_until_us BIGINT, 
	render_position BIGINT, 
	stems_position BIGINT, 
	PRIMARY KEY (job_id, number), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "versions" VALUES('j-01m8h0djg03x4b5gvwmf32jsmp',1,'RENDER','DONE',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}',NULL,'[]',NULL,'BOUNCE',8.0,2.0,NULL,1795867200000000,1795867200000000,1795867201000000,1795867203000000,NULL,NULL,NULL,4,NULL);
INSERT INTO "versions" VALUES('j-01m8h0djg03x4b5gvwmf32jsmp',2,'RENDER','DONE',1,0,1,'EXACT',1,'VOCALS','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}',NULL,'[]',NULL,'BOUNCE',8.0,2.0,NULL,1795867203000000,1795867203000000,1795867203000000,1795867205000000,NULL,NULL,NULL,9,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dta0r7qt1p59xfthrp4y',1,'RENDER','DONE',1,0,1,'EXACT',0,'','{"prompt": "", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": ""}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}',NULL,'[]',NULL,'BOUNCE',8.0,2.0,NULL,1795867208000000,1795867208000000,1795867209000000,1795867211000000,NULL,NULL,NULL,23,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dx7rme7azrzmrr7w2w00',1,'RENDER','RUNNING',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867211000000,1795867211000000,1795867212000000,NULL,'72247171e73488677ce79345571098b5','31558-5549c56683653597',1795867242000000,NULL,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dy70z04s7aq17mkkp9gc',1,'SEPARATION','QUEUED',0,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867212000000,1795867212000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX jobs_newest ON jobs (tenant, create_us, job_id);
CREATE INDEX events_feed ON events (owner, tenant, position);
CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows
        WHEN NOT (NEW.tenant IS OLD.tenant AND NEW.sequence IS OLD.sequence AND NEW.job_id IS OLD.job_id AND NEW.version IS OLD.version AND NEW.kind IS OLD.kind AND NEW.body_json IS OLD.body_json AND NEW.previous_digest IS OLD.previous_digest AND NEW.digest IS OLD.digest AND NEW.create_us IS OLD.create_us AND NEW.prompt IS NULL AND NEW.salt IS NULL)
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END;
CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit_rows
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END;
CREATE INDEX ix_requests_job_id ON requests (job_id);
CREATE INDEX versions_waiting ON versions (owner, state, queued_us);
CREATE INDEX versions_measured ON versions (owner, state, end_us);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',27);
COMMIT;
