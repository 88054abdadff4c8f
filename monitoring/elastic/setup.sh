#!/bin/bash
# Runs once at each `up`, before Kibana and Filebeat: Kibana's own password, and how lines are kept.
set -euo pipefail
if [[ -z "${ELASTIC_PASSWORD:-}" ]]; then
  echo 'Set MONITORING_PASSWORD: the password of the user "elastic"; there is none by default.' >&2
  exit 1
fi

put() {
  curl --silent --show-error --fail-with-body --user "elastic:$ELASTIC_PASSWORD" \
    --header 'content-type: application/json' --request "$1" "http://elasticsearch:9200$2" --data "$3"
  echo
}

put POST /_security/user/kibana_system/_password "{\"password\":\"$ELASTIC_PASSWORD\"}"
# Lines are kept for a week. Every text is a keyword: ids are asked for as they are.
put PUT /_index_template/constancia-logs '{
  "index_patterns": ["constancia-logs"],
  "priority": 500,
  "data_stream": {},
  "template": {
    "lifecycle": { "data_retention": "7d" },
    "settings": { "number_of_replicas": 0 },
    "mappings": {
      "dynamic_templates": [
        { "texts": { "match_mapping_type": "string",
                     "mapping": { "type": "keyword", "ignore_above": 8191 } } }
      ]
    }
  }
}'
