BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO "alembic_version" VALUES('0011');
CREATE TABLE api_keys (
	key_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	secret_sha256 TEXT NOT NULL, 
	limits TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	expire_us BIGINT, 
	revoke_us BIGINT, 
	last_used_us BIGINT, 
	replaced_by TEXT, 
	PRIMARY KEY (key_id)
);
INSERT INTO "api_keys" VALUES('abcdefgh2345','acme','mixing room','["render", "read"]','abababababababababababababababababababababababababababababababab','{"waiting_jobs": 5}',1795867215000000,NULL,NULL,1795867216000000,NULL);
CREATE TABLE audit_rows (
	tenant TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	job_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	body_json TEXT NOT NULL, 
	salt TEXT, 
	prompt TEXT, 
	personal TEXT, 
	previous_digest TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	PRIMARY KEY (tenant, sequence), 
	UNIQUE (tenant, job_id, version, kind)
);
INSERT INTO "audit_rows" VALUES('local',1,'j-01m8h0dkf88yd6p4gkdpczcc3e',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:02.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"BOUNCE","promptSha256":"b1cd6ae0484fb81f17d74d50d6b2072ba43829ecae3995c55d2d81a61a614484","seed":7,"sequence":1,"tenant":"local","version":1}','edb7817272d8aa1aab6cd9b1b468297e9418f327e6e47a3cee1e0a65508f39ea','warm tape piano, sombre, seventy beats',NULL,'0000000000000000000000000000000000000000000000000000000000000000','16108285151929725e3bb9d4c67145a194e768ac91a3f187751017751ec20153',1795867202000000);
INSERT INTO "audit_rows" VALUES('local',2,'j-01m8h0dkf88yd6p4gkdpczcc3e',1,'STEMS','{"createdAt":"2026-11-28T12:00:02.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"STEMS","promptSha256":"1241039ff27fcbc19b17ac5678d662fae22354975b19febe4df3060553f8c734","seed":7,"sequence":2,"tenant":"local","version":1}','79fd79174a975c921b6cd336166a26729d955ac65cf1e6259f2c24c638a78ade','warm tape piano, sombre, seventy beats',NULL,'16108285151929725e3bb9d4c67145a194e768ac91a3f187751017751ec20153','dcf2e42ec679ece2bd62ce7840bc98f776eb88ff4228e3c020bdcff806dfc327',1795867202000000);
INSERT INTO "audit_rows" VALUES('local',3,'j-01m8h0dkf88yd6p4gkdpczcc3e',2,'STEMS','{"createdAt":"2026-11-28T12:00:03.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"STEMS","promptSha256":"a6d571a804e95e190ba0e0d5dbf353d02bbb6cc1938ed45d809b65c09c822412","seed":8,"sequence":3,"tenant":"local","version":2}','c492b2c936789c9126eb3511f400e837896a40d2924933523b4f4d55922ea9ff','warm tape piano, sombre, seventy beats',NULL,'dcf2e42ec679ece2bd62ce7840bc98f776eb88ff4228e3c020bdcff806dfc327','fe428d0fb00844ccea9a090dd6bfe5bf9590aa11baa8eb9371f34ca453619d95',1795867203000000);
INSERT INTO "audit_rows" VALUES('local',4,'j-01m8h0dpd0yy017ckxg9n0zx9j',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:05.000000Z","jobId":"j-01m8h0dpd0yy017ckxg9n0zx9j","kind":"BOUNCE","promptSha256":"0820222afe07b6d37c7d31d1d8dee4c4e904995bf26ba5979a7d6d374a8ce064","seed":7,"sequence":4,"tenant":"local","version":1}','788a67f1ade2ee45abef47bff7c1eeabbe054c3e114f0dceaaa2a559ea876e5a','warm tape piano, sombre, seventy beats',NULL,'fe428d0fb00844ccea9a090dd6bfe5bf9590aa11baa8eb9371f34ca453619d95','50789ba07bd485739f50b7bb60adc997121a61b60c7d4aa83a4d8865c251d32b',1795867205000000);
INSERT INTO "audit_rows" VALUES('local',5,'j-01m8h0drbg6t95e5kw2qj520ed',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:07.000000Z","jobId":"j-01m8h0drbg6t95e5kw2qj520ed","kind":"BOUNCE","promptSha256":"930301e7a283e42993f6612c194f265a1d848964ba742516fc9a743714c2d737","seed":7,"sequence":5,"tenant":"local","version":1}',NULL,NULL,NULL,'50789ba07bd485739f50b7bb60adc997121a61b60c7d4aa83a4d8865c251d32b','e353c1e1e5df0832e66a4f8ff55a9ca8762d8bb57558ba4af2359a95fa8468c1',1795867207000000);
INSERT INTO "audit_rows" VALUES('local',6,'j-01m8h0dv98eev64we1m9h4vwp3',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:10.000000Z","jobId":"j-01m8h0dv98eev64we1m9h4vwp3","kind":"BOUNCE","promptSha256":"224389a91191fe5a362df831eaff97cb509d120cb354d67d3969a82fa68772d2","seed":7,"sequence":6,"tenant":"local","version":1}','52cc983d9e22e8dada2d05ee2393cef428e7bbfa70223d8536c3497a52d39764','warm tape piano, sombre, seventy beats',NULL,'e353c1e1e5df0832e66a4f8ff55a9ca8762d8bb57558ba4af2359a95fa8468c1','01dd6a1d1e0798ce8198af65fe244b1f50f139a01671a9a7786336b4b6facf5f',1795867210000000);
INSERT INTO "audit_rows" VALUES('local',7,'j-01m8h0dx7rxz4jjtpkcsvk80rq',1,'BOUNCE','{"createdAt":"2026-11-28T12:00:12.000000Z","jobId":"j-01m8h0dx7rxz4jjtpkcsvk80rq","kind":"BOUNCE","promptSha256":"71d3715dee9ffb6d7c31b9ae7780979234196a0880f31bdd4f43041ab8232597","seed":7,"sequence":7,"tenant":"local","version":1}','03ec70972ae1974febbf6f8542cbc9408dcc81ddeacbc85dd1f0c89338a3ff5a','warm tape piano, sombre, seventy beats',NULL,'01dd6a1d1e0798ce8198af65fe244b1f50f139a01671a9a7786336b4b6facf5f','78a78c82f9577ab5e5c642ad0816406285290e14aa0c20ff9b7c3a071245995a',1795867212000000);
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
INSERT INTO "events" VALUES(1,'j-01m8h0dkf88yd6p4gkdpczcc3e',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867201000000);
INSERT INTO "events" VALUES(2,'j-01m8h0dkf88yd6p4gkdpczcc3e',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867201000000);
INSERT INTO "events" VALUES(3,'j-01m8h0dkf88yd6p4gkdpczcc3e',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867201000000);
INSERT INTO "events" VALUES(4,'j-01m8h0dkf88yd6p4gkdpczcc3e',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867202000000);
INSERT INTO "events" VALUES(5,'j-01m8h0dkf88yd6p4gkdpczcc3e',5,'local','RENDER',1,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867202000000);
INSERT INTO "events" VALUES(6,'j-01m8h0dkf88yd6p4gkdpczcc3e',6,'local','RENDER',2,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867202000000);
INSERT INTO "events" VALUES(7,'j-01m8h0dkf88yd6p4gkdpczcc3e',7,'local','RENDER',2,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(8,'j-01m8h0dkf88yd6p4gkdpczcc3e',8,'local','RENDER',2,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867203000000);
INSERT INTO "events" VALUES(17,'j-01m8h0dpd0yy017ckxg9n0zx9j',9,'local','RENDER',2,'DELETED','FAILED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867205000000);
INSERT INTO "events" VALUES(18,'j-01m8h0drbg6t95e5kw2qj520ed',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867206000000);
INSERT INTO "events" VALUES(19,'j-01m8h0drbg6t95e5kw2qj520ed',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867206000000);
INSERT INTO "events" VALUES(20,'j-01m8h0drbg6t95e5kw2qj520ed',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867206000000);
INSERT INTO "events" VALUES(21,'j-01m8h0drbg6t95e5kw2qj520ed',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867207000000);
INSERT INTO "events" VALUES(22,'j-01m8h0drbg6t95e5kw2qj520ed',5,'local','RENDER',1,'STATE','FAILED',NULL,NULL,1,0,0,0.0,NULL,'{"code": 13, "message": "x"}',1795867207000000);
INSERT INTO "events" VALUES(23,'j-01m8h0dta0fc85ym2vek5xvq4y',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867208000000);
INSERT INTO "events" VALUES(24,'j-01m8h0dta0fc85ym2vek5xvq4y',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867208000000);
INSERT INTO "events" VALUES(25,'j-01m8h0dta0fc85ym2vek5xvq4y',3,'local','RENDER',1,'STATE','FAILED',NULL,NULL,1,0,0,0.0,NULL,'{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}',1795867208000000);
INSERT INTO "events" VALUES(26,'j-01m8h0dv98eev64we1m9h4vwp3',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867209000000);
INSERT INTO "events" VALUES(27,'j-01m8h0dv98eev64we1m9h4vwp3',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867209000000);
INSERT INTO "events" VALUES(28,'j-01m8h0dv98eev64we1m9h4vwp3',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867209000000);
INSERT INTO "events" VALUES(29,'j-01m8h0dv98eev64we1m9h4vwp3',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867210000000);
INSERT INTO "events" VALUES(30,'j-01m8h0dv98eev64we1m9h4vwp3',5,'local','RENDER',1,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867210000000);
INSERT INTO "events" VALUES(31,'j-01m8h0dx7rxz4jjtpkcsvk80rq',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(32,'j-01m8h0dx7rxz4jjtpkcsvk80rq',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(33,'j-01m8h0dx7rxz4jjtpkcsvk80rq',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867211000000);
INSERT INTO "events" VALUES(34,'j-01m8h0dx7rxz4jjtpkcsvk80rq',4,'local','RENDER',1,'BOUNCE_READY','RUNNING','RENDER','BOUNCE',1,0,0,1.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(35,'j-01m8h0dx7rxz4jjtpkcsvk80rq',5,'local','RENDER',1,'STATE','DONE',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(36,'j-01m8h0dx7rxz4jjtpkcsvk80rq',6,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(37,'j-01m8h0dx7rxz4jjtpkcsvk80rq',7,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,2,0,0,0.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(38,'j-01m8h0dx7rxz4jjtpkcsvk80rq',8,'local','RENDER',1,'PROGRESS','RUNNING','STEMS','HANDOFF',1,0,0,0.0,NULL,NULL,1795867212000000);
INSERT INTO "events" VALUES(39,'j-01m8h0dz68ntqrzyp23t4xttm9',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867213000000);
INSERT INTO "events" VALUES(40,'j-01m8h0dz68ntqrzyp23t4xttm9',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867213000000);
INSERT INTO "events" VALUES(41,'j-01m8h0dz68ntqrzyp23t4xttm9',3,'local','RENDER',1,'STATE','CANCELLING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867213000000);
INSERT INTO "events" VALUES(42,'j-01m8h0e05g6ajvhx7xvafwhgmg',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867214000000);
INSERT INTO "events" VALUES(43,'j-01m8h0e05g6ajvhx7xvafwhgmg',2,'local','RENDER',1,'STATE','RUNNING',NULL,NULL,1,0,0,0.0,NULL,NULL,1795867214000000);
INSERT INTO "events" VALUES(44,'j-01m8h0e05g6ajvhx7xvafwhgmg',3,'local','RENDER',1,'PROGRESS','RUNNING','RENDER','DENOISE',1,1,4,0.25,NULL,NULL,1795867214000000);
INSERT INTO "events" VALUES(45,'j-01m8h0e14rxfmzfm4t4t8ndkt9',1,'local','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867215000000);
INSERT INTO "events" VALUES(46,'j-01m8h0e14rakh058vmpzbr6f2c',1,'local','SEPARATION',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867215000000);
INSERT INTO "events" VALUES(47,'j-01m8h0e2400jerjts2yw01r66b',1,'acme','RENDER',1,'STATE','QUEUED',NULL,NULL,0,0,0,0.0,NULL,NULL,1795867216000000);
CREATE TABLE job_labels (
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (job_id, name), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "job_labels" VALUES('j-01m8h0dkf88yd6p4gkdpczcc3e','project','spring');
INSERT INTO "job_labels" VALUES('j-01m8h0e14rxfmzfm4t4t8ndkt9','project','spring');
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
INSERT INTO "jobs" VALUES('j-01m8h0dkf88yd6p4gkdpczcc3e','local','RENDER','r1','nova',1795867201000000,8,3,0);
INSERT INTO "jobs" VALUES('j-01m8h0drbg6t95e5kw2qj520ed','local','RENDER','r3','nova',1795867206000000,5,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0dta0fc85ym2vek5xvq4y','local','RENDER','r4','nova',1795867208000000,3,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0dv98eev64we1m9h4vwp3','local','RENDER','r5','nova',1795867209000000,5,2,1);
INSERT INTO "jobs" VALUES('j-01m8h0dx7rxz4jjtpkcsvk80rq','local','RENDER','r6','nova',1795867211000000,8,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0dz68ntqrzyp23t4xttm9','local','RENDER','r7','nova',1795867213000000,3,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0e05g6ajvhx7xvafwhgmg','local','RENDER','r8','nova',1795867214000000,3,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0e14rxfmzfm4t4t8ndkt9','local','RENDER','r9','nova',1795867215000000,1,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0e14rakh058vmpzbr6f2c','local','SEPARATION','u1','',1795867215000000,1,2,0);
INSERT INTO "jobs" VALUES('j-01m8h0e2400jerjts2yw01r66b','acme','RENDER','a1','nova',1795867216000000,1,2,0);
CREATE TABLE measured_failures (
	tenant TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	rerendered_stem TEXT NOT NULL, 
	error TEXT NOT NULL, 
	create_us BIGINT NOT NULL, 
	PRIMARY KEY (tenant, job_id, number)
);
INSERT INTO "measured_failures" VALUES('local','j-01m8h0dpd0yy017ckxg9n0zx9j',2,'VOCALS','{"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "DRIFT_EXCEEDED", "domain": "sonichaos.ai", "metadata": {"stem": "vocals"}}]}',1795867205000000);
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema_version','11');
INSERT INTO "meta" VALUES('token_key','86df1fd6fd84b97ab5c71f9a0fd74244369c99007bdd218abc4cd8133d60f384');
INSERT INTO "meta" VALUES('clock','94714287-5ef3-473e-b60d-c4111a86ec2c 1795953600000000');
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
INSERT INTO "requests" VALUES('local','Create','r1','d1','j-01m8h0dkf88yd6p4gkdpczcc3e',1);
INSERT INTO "requests" VALUES('local','Rerender','v1','d1','j-01m8h0dkf88yd6p4gkdpczcc3e',2);
INSERT INTO "requests" VALUES('local','Create','r3','','j-01m8h0drbg6t95e5kw2qj520ed',1);
INSERT INTO "requests" VALUES('local','Create','r4','d1','j-01m8h0dta0fc85ym2vek5xvq4y',1);
INSERT INTO "requests" VALUES('local','Create','r5','d1','j-01m8h0dv98eev64we1m9h4vwp3',1);
INSERT INTO "requests" VALUES('local','Create','r6','d1','j-01m8h0dx7rxz4jjtpkcsvk80rq',1);
INSERT INTO "requests" VALUES('local','Create','r7','d1','j-01m8h0dz68ntqrzyp23t4xttm9',1);
INSERT INTO "requests" VALUES('local','Create','r8','d1','j-01m8h0e05g6ajvhx7xvafwhgmg',1);
INSERT INTO "requests" VALUES('local','Create','r9','d1','j-01m8h0e14rxfmzfm4t4t8ndkt9',1);
INSERT INTO "requests" VALUES('local','CreateSeparation','u1','d1','j-01m8h0e14rakh058vmpzbr6f2c',1);
INSERT INTO "requests" VALUES('acme','Create','a1','d1','j-01m8h0e2400jerjts2yw01r66b',1);
CREATE TABLE tenant_turns (
	owner TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	virtual_s FLOAT NOT NULL, 
	PRIMARY KEY (owner, tenant)
);
INSERT INTO "tenant_turns" VALUES('RENDER','',24.0);
INSERT INTO "tenant_turns" VALUES('RENDER','local',32.0);
CREATE TABLE tenant_usage (
	tenant TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	audio_s FLOAT DEFAULT '0' NOT NULL, 
	upload_bytes BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (tenant, day)
);
INSERT INTO "tenant_usage" VALUES('acme',20785,8.0,4096);
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
	lease_s FLOAT, 
	heartbeats BIGINT DEFAULT '0' NOT NULL, 
	lost_token TEXT, 
	suspect BOOLEAN DEFAULT 0 NOT NULL, 
	waiting TEXT, 
	waits TEXT DEFAULT '{}' NOT NULL, 
	prompt_erased BOOLEAN DEFAULT 0 NOT NULL, 
	render_position BIGINT, 
	stems_position BIGINT, 
	tenant TEXT DEFAULT '' NOT NULL, 
	priority INTEGER DEFAULT '0' NOT NULL, 
	running_limit INTEGER DEFAULT '0' NOT NULL, delete_us BIGINT, 
	PRIMARY KEY (job_id, number), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "versions" VALUES('j-01m8h0dkf88yd6p4gkdpczcc3e',1,'RENDER','DONE',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}',NULL,'[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]',NULL,'STORE',8.0,1.0,NULL,1795867201000000,1795867201000000,1795867201000000,1795867202000000,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,4,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dkf88yd6p4gkdpczcc3e',2,'RENDER','DONE',1,0,1,'EXACT',1,'VOCALS','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"deleting": ["jobs/x/bounce.wav", "jobs/x/v1.zip"]}',NULL,'[]',NULL,'STORE',8.0,0.0,NULL,1795867202000000,1795867202000000,1795867203000000,1795867203000000,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,NULL,NULL,'local',0,0,1795953600000000);
INSERT INTO "versions" VALUES('j-01m8h0drbg6t95e5kw2qj520ed',1,'RENDER','FAILED',1,0,1,'EXACT',0,'','{"prompt": "", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": ""}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}',NULL,'[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]','{"code": 13, "message": "x"}','BOUNCE',8.0,NULL,NULL,1795867206000000,1795867206000000,1795867206000000,1795867207000000,NULL,NULL,NULL,0,NULL,0,NULL,'{}',1,21,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dta0fc85ym2vek5xvq4y',1,'RENDER','FAILED',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]','{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}',NULL,8.0,NULL,NULL,1795867208000000,1795867208000000,1795867208000000,1795867208000000,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,NULL,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dv98eev64we1m9h4vwp3',1,'RENDER','DONE',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}',NULL,'[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]',NULL,'BOUNCE',8.0,1.0,NULL,1795867209000000,1795867209000000,1795867209000000,1795867210000000,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,29,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dx7rxz4jjtpkcsvk80rq',1,'RENDER','RUNNING',2,0,1,'RAW',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_RAW"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "kept": [{"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}]}',NULL,'[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]',NULL,'BOUNCE',8.0,1.0,NULL,1795867211000000,1795867212000000,1795867212000000,NULL,'1b39dc0352399a5785fae13418ddf7de','22729-7690954d31b3d3db',30.0,0,NULL,0,'{"code": 14, "message": "separation_service does not answer"}','{"SEPARATION_UNAVAILABLE": {"waitedS": 12.5, "refusals": 4, "stage": "HANDOFF"}}',0,34,38,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0dz68ntqrzyp23t4xttm9',1,'RENDER','CANCELLING',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867213000000,1795867213000000,1795867213000000,NULL,'6b7fd12ffe3222d444d1f8731c750f7a','22729-7690954d31b3d3db',30.0,0,NULL,0,NULL,'{}',0,NULL,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0e05g6ajvhx7xvafwhgmg',1,'RENDER','RUNNING',1,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,4949467200000000,1795867214000000,1795867214000000,1795867214000000,NULL,'ed46878339d9f0651d82bf7dfe75b0c5','22729-7690954d31b3d3db',30.0,0,NULL,0,NULL,'{}',0,44,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0e14rxfmzfm4t4t8ndkt9',1,'RENDER','QUEUED',0,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867215000000,1795867215000000,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,NULL,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0e14rakh058vmpzbr6f2c',1,'SEPARATION','QUEUED',0,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867215000000,1795867215000000,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,NULL,NULL,'local',0,0,NULL);
INSERT INTO "versions" VALUES('j-01m8h0e2400jerjts2yw01r66b',1,'RENDER','QUEUED',0,0,1,'EXACT',0,'','{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}','{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}','{}',NULL,'[]',NULL,NULL,8.0,NULL,NULL,1795867216000000,1795867216000000,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'{}',0,NULL,NULL,'acme',5,0,NULL);
CREATE TABLE webhook_deliveries (
	delivery_id TEXT NOT NULL, 
	webhook_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	earlier_attempts INTEGER NOT NULL, 
	status_code INTEGER, 
	problem TEXT, 
	next_attempt_us BIGINT, 
	create_us BIGINT NOT NULL, 
	end_us BIGINT, 
	PRIMARY KEY (delivery_id), 
	UNIQUE (webhook_id, job_id, sequence), 
	FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE, 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "webhook_deliveries" VALUES('wd-01m8h0djg0sqp44b00a88qahpn','wh-01m8h0f0000000000000000001','local','RENDER','j-01m8h0dkf88yd6p4gkdpczcc3e',4,1,'BOUNCE_READY','DELIVERED',1,0,204,NULL,NULL,1795867200000000,1795867210000000);
INSERT INTO "webhook_deliveries" VALUES('wd-01m8h0djg06kpdbagnhg2y49jy','wh-01m8h0f0000000000000000001','local','RENDER','j-01m8h0dkf88yd6p4gkdpczcc3e',5,1,'VERSION_ENDED','WAITING',1,0,500,'STATUS',1795867240000000,1795867200000001,NULL);
INSERT INTO "webhook_deliveries" VALUES('wd-01m8h0djg0t1v51ehev5n9qg11','wh-01m8h0f0000000000000000001','local','RENDER','j-01m8h0dkf88yd6p4gkdpczcc3e',8,2,'VERSION_ENDED','WAITING',1,0,NULL,NULL,1795867280000000,1795867200000002,NULL);
CREATE TABLE webhooks (
	webhook_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	job_id TEXT, 
	url TEXT NOT NULL, 
	kinds TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	start_position BIGINT NOT NULL, 
	create_us BIGINT NOT NULL, 
	disable_us BIGINT, request_id TEXT, 
	PRIMARY KEY (webhook_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
INSERT INTO "webhooks" VALUES('wh-01m8h0f0000000000000000001','local','j-01m8h0dkf88yd6p4gkdpczcc3e','https://receiver.example/hook','["BOUNCE_READY", "VERSION_ENDED"]','whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',47,1795867200000000,NULL,'hook-1');
INSERT INTO "webhooks" VALUES('wh-01m8h0f0000000000000000002','local',NULL,'https://receiver.example/hook','["BOUNCE_READY", "VERSION_ENDED"]','whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',47,1795867200000000,NULL,NULL);
CREATE INDEX jobs_oldest ON jobs (owner, create_us);
CREATE INDEX jobs_deleting ON jobs (owner) WHERE deleting IS true;
CREATE INDEX jobs_newest ON jobs (tenant, create_us, job_id);
CREATE INDEX jobs_of_owner ON jobs (tenant, owner, create_us, job_id);
CREATE INDEX events_of_owner ON events (owner, position);
CREATE INDEX events_feed ON events (owner, tenant, position);
CREATE INDEX audit_rows_of_job ON audit_rows (job_id, sequence);
CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows
        WHEN NOT (NEW.tenant IS OLD.tenant AND NEW.sequence IS OLD.sequence AND NEW.job_id IS OLD.job_id AND NEW.version IS OLD.version AND NEW.kind IS OLD.kind AND NEW.body_json IS OLD.body_json AND NEW.previous_digest IS OLD.previous_digest AND NEW.digest IS OLD.digest AND NEW.create_us IS OLD.create_us AND (NEW.prompt IS NULL OR NEW.prompt IS OLD.prompt) AND (NEW.personal IS NULL OR NEW.personal IS OLD.personal) AND (NEW.salt IS NULL OR NEW.salt IS OLD.salt))
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END;
CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit_rows
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END;
CREATE INDEX ix_requests_job_id ON requests (job_id);
CREATE INDEX versions_waiting ON versions (owner, state, tenant, priority, queued_us, job_id, number);
CREATE INDEX versions_expiring ON versions (owner, state, expire_us) WHERE expire_us IS NOT NULL;
CREATE INDEX versions_measured ON versions (owner, state, stems_wanted, end_us) WHERE work_s IS NOT NULL;
CREATE INDEX versions_rerendered ON versions (rerendered_stem, create_us, job_id, number) WHERE rerendered_stem <> '';
CREATE INDEX ix_webhooks_job_id ON webhooks (job_id);
CREATE INDEX webhooks_of_tenant ON webhooks (tenant, create_us, webhook_id);
CREATE INDEX webhooks_start ON webhooks (start_position);
CREATE INDEX ix_webhook_deliveries_job_id ON webhook_deliveries (job_id);
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (webhook_id, create_us, delivery_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (owner, webhook_id, next_attempt_us) WHERE next_attempt_us IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (tenant, webhook_id) WHERE state = 'WAITING';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (owner, end_us) WHERE end_us IS NOT NULL;
CREATE UNIQUE INDEX webhooks_requested ON webhooks (tenant, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX versions_deleting ON versions (owner) WHERE delete_us IS NOT NULL AND files <> '{}';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',47);
COMMIT;
