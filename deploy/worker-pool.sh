# The subscriber as a Cloud Run worker pool (`delivery` in iac/environments.ts). Sourced by deploy.sh, whose `environment`, `project`, `region`, say and
# apply_stack it uses.

# Builds and pushes the image of this commit; the stack worker-pool takes it by its digest.
build_image() {
  local registry=$region-docker.pkg.dev
  local name=$registry/$project/constancia-images/subscriber
  local image
  image=$name:$(git rev-parse HEAD)
  say "building $image"
  gcloud auth configure-docker "$registry" --quiet
  docker build --tag "$image" .
  docker push "$image"
  TF_VAR_subscriber_image=$(docker inspect --format='{{join .RepoDigests "\n"}}' "$image" | grep "^$name@")
  export TF_VAR_subscriber_image
}

# Sets `running_image`, which is empty before the first pool.
read_running_image() {
  local stack=.local/terraform/$environment/worker-pool
  terraform -chdir="$stack" init -input=false
  running_image=$(terraform -chdir="$stack" output -raw subscriber_image 2>/dev/null || true)
}

# After a rollout that failed with this status: the API's traffic is back, so the pool may follow. With
# status 3 the new API still has traffic, and needs the new pool.
put_pool_back() {
  if [ "$1" = 3 ] || [ -z "$running_image" ]; then
    echo "deploy: the worker pool keeps the new image. The running API's writes are known to it." >&2
  else
    say "putting the worker pool back to $running_image"
    TF_VAR_subscriber_image=$running_image apply_stack worker-pool
  fi
}
