DROP TABLE media_object;
DROP TABLE runner;
DROP TABLE processing_log;
DROP TABLE job_attempt;
DROP TABLE job_input;
DROP TABLE job;
DROP TABLE app_settings;
DROP TABLE slot;
