-- +goose Up
CREATE TABLE requests (
    id          CHAR(36)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id     CHAR(36)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_id  VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    trace_id    VARCHAR(32)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    method      VARCHAR(10)   NOT NULL,
    path        VARCHAR(512)  NOT NULL,
    status      SMALLINT      NOT NULL,
    returned    INT           NOT NULL,
    source      VARCHAR(16)   NOT NULL,
    duration_us BIGINT        NOT NULL,
    at          DATETIME(3)   NOT NULL,
    KEY by_user (user_id, id),
    KEY by_request (request_id),
    KEY by_time (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- +goose Down
DROP TABLE requests;
