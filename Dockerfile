# One image for every way SageMaker runs it. Builds with BuildKit and with the classic builder alike.
ARG BASE_IMAGE=python:3.11-slim-bookworm
# cpu: OpenVINO, and torch for converting and for what does not convert. cuda: torch on a GPU. none: compiled artifacts only.
ARG TORCH=cpu

# What the project needs of others. It changes rarely and is nearly all of the image, so it becomes a layer of its own.
FROM ${BASE_IMAGE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The environment holds no pip of its own: this stage's pip installs into it, and stays behind.
RUN python -m venv --without-pip /opt/absa-server/venv
COPY requirements.lock requirements-compiled.lock ./
ARG TORCH
RUN case "$TORCH" in cpu|cuda) lock=requirements.lock ;; none) lock=requirements-compiled.lock ;; \
        *) echo "TORCH=$TORCH: expected cpu, cuda or none" >&2; exit 1 ;; esac \
 && pip --python /opt/absa-server/venv/bin/python install --no-deps --require-hashes -r "$lock"

# torch is named once, in pyproject.toml. Empty: the index, or indexes, that pip is configured with. For cuda pip takes the
# CUDA packages that this torch names, whose versions it pins.
ARG TORCH_INDEX_URL=
COPY pyproject.toml ./
RUN python=/opt/absa-server/venv/bin/python \
 && [ "$TORCH" = none ] || { \
        pip --python $python install $([ "$TORCH" = cuda ] || echo --no-deps) \
            ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} \
            "$(sed -n 's/.*"\(torch==[^"]*\)".*/\1/p' pyproject.toml)" \
     && { [ "$TORCH" = cuda ] || $python -c 'import torch' \
          || { echo 'This build of torch needs CUDA libraries, which the image leaves out. Choose a CPU build with' \
                    '--build-arg TORCH_INDEX_URL=<the CPU index that pytorch.org names>, or --build-arg TORCH=cuda.' >&2; \
               exit 1; }; } \
     && { [ "$TORCH" = cpu ] || $python -c 'import sys, torch; sys.exit(torch.version.cuda is None)' \
          || { echo 'TORCH=cuda: this build of torch is for the CPU. Choose one for CUDA with' \
                    '--build-arg TORCH_INDEX_URL=<the CUDA index that pytorch.org names>.' >&2; exit 1; }; }; }

# Out goes what only testing, compiling against them or building packages needs (of torch/bin, `import torch` asks for the
# shm manager), and of OpenVINO what runs on other devices than the CPU or reads other formats than its own and torch's. Then
# byte code that no time stamp can invalidate: a read-only root could never write it again.
RUN cd /opt/absa-server/venv/lib/python3*/site-packages \
 && rm -rf torch/include torch/share torch/test setuptools setuptools-*.dist-info _distutils_hack distutils-precedence.pth \
           openvino/include openvino/libs/cache.json \
 && rm -f openvino/libs/libopenvino_intel_[gn]pu_* \
          openvino/libs/libopenvino_onnx_* openvino/libs/libopenvino_tensorflow_* openvino/libs/libopenvino_paddle_* \
          openvino/libs/libopenvino_jax_* openvino/libs/libopenvino_gguf_* \
 && find . -type d -regex '\./\(mpmath\|networkx\|numpy\|sympy\)/\(.*/\)?tests' -prune -exec rm -r {} + \
 && { [ "$TORCH" = none ] || find torch/bin -mindepth 1 -not -name torch_shm_manager -delete; } \
 && python -m compileall -q -f -j 0 -x torch/testing/_internal --invalidation-mode unchecked-hash . \
 && echo /opt/absa-server/app > absa-server.pth \
 && chmod -R a+rX /opt/absa-server


# The project itself, beside the environment, which finds it through the .pth file. The platform's side stays out.
FROM dependencies AS application
COPY README.md LICENSE ./
COPY src src
COPY model_loader model_loader
RUN pip wheel --no-deps --wheel-dir dist . \
 && pip --python /opt/absa-server/venv/bin/python install --no-deps --no-compile --target /opt/absa-server/app dist/*.whl \
 && rm -r /opt/absa-server/app/local_sagemaker /opt/absa-server/app/bin/local-sagemaker \
 && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/absa-server/app
COPY serve /opt/absa-server/serve
# Serverless endpoints run the container as a user of their own.
RUN chmod -R a+rX /opt/absa-server/app /opt/absa-server/serve


# A container sees its host's GPUs when its image asks for them; one that has no use for them should not take them.
FROM ${BASE_IMAGE} AS torch-cpu
FROM ${BASE_IMAGE} AS torch-none
FROM ${BASE_IMAGE} AS torch-cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility


# No compiler, no package cache, nothing of the stages above but the finished folders.
FROM torch-${TORCH}
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      org.opencontainers.image.title=absa-server \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=dependencies /opt/absa-server/venv /opt/absa-server/venv
COPY --from=application /opt/absa-server/app /opt/absa-server/app
COPY --from=application /opt/absa-server/serve /opt/absa-server/serve
# A user without a passwd entry has no home; /tmp is the one folder that is always writable.
ENV PATH=/opt/absa-server/serve:/opt/absa-server/app/bin:/opt/absa-server/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1
WORKDIR /opt/absa-server
EXPOSE 8080
# No ENTRYPOINT: the platform's word `serve` is found on PATH, and any other command runs as it stands.
# No HEALTHCHECK: SageMaker, ECS and Kubernetes probe /ping themselves; ours would start a Python beside the model.
CMD ["serve"]
