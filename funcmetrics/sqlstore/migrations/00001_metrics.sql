-- +goose Up
CREATE TABLE metrics (
    id             CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    func_name      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    execution_time DOUBLE       NOT NULL COMMENT 'seconds',
    error_occurred BOOLEAN      NOT NULL,
    created_at     DATETIME     NOT NULL COMMENT 'UTC',
    KEY by_function (func_name, created_at),
    KEY by_time (created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE metrics_hourly (
    func_name  VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    hour       INT          NOT NULL COMMENT 'hours since 1970, UTC',
    bucket     SMALLINT     NOT NULL COMMENT 'of execution times, see funcmetrics.Bucket',
    calls      BIGINT       NOT NULL,
    errors     BIGINT       NOT NULL,
    total_time DOUBLE       NOT NULL COMMENT 'seconds',
    PRIMARY KEY (func_name, hour, bucket),
    KEY by_hour (hour)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- +goose Down
DROP TABLE metrics_hourly;
DROP TABLE metrics;
