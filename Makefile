# Short recipes: cargo does the work. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

# release or dev. Tests use dev: one build serves the unit tests and what is staged.
PROFILE ?= release
PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
BUILT := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# NVIDIA's compiler, from its Python wheels. CUDA_TOOLKIT names another copy of the same layout.
CUDA_TOOLKIT ?= toolchain/nvidia/cu13
WHEELS := nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
          nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
# The newest header, for `make check-abi` only.
HEADER_WHEEL := nvidia-cuda-runtime==13.5.37
NVCC := $(CUDA_TOOLKIT)/bin/nvcc
NVCC_FLAGS := -std=c++17 -O2 -L$(CUDA_TOOLKIT)/lib --cudart static
# What is embedded: machine code beside PTX, as programs are shipped.
CODE := -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
        -gencode arch=compute_80,code=compute_80
PROGRAMS := $(basename $(notdir $(wildcard conformance/programs/*.cu conformance/programs/*.c)))
# One program compressed in each way, and once with machine code alone.
SAXPY_IMAGES := $(addprefix saxpy-,size speed balance none sass)
PROGRAMS_BUILT := $(addprefix target/conformance/,$(PROGRAMS) $(SAXPY_IMAGES))

# The kernels and their checks. ARCH and OPTIONS are what `make kernels-matrix` varies.
KERNELS := $(patsubst conformance/kernels/check_%.cu,%,\
                      $(wildcard conformance/kernels/check_*.cu))
ARCH ?= 80
OPTIONS ?=
KERNELS_FOLDER ?= target/conformance/kernels
KERNELS_BUILT := $(addprefix $(KERNELS_FOLDER)/,$(KERNELS))

.PHONY: help build stage toolchain programs kernels kernels-matrix test \
        check bench fuzz-smoke ptx-long asan check-abi demo install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build and stage the command and both libraries (PROFILE=release|dev)
	@echo "== build ($(PROFILE))"
	cargo build --workspace --profile $(PROFILE)
	@$(MAKE) stage

# Each library under the name that programs look for, in a folder of its own. A file is replaced by
# renaming: a program that has the old one open keeps it.
stage:
	@mkdir -p stage/bin stage/lib/cuda stage/lib/softgpu
	@put() { cp "$$1" "$$2.new" && mv -f "$$2.new" "$$2"; }; \
	put $(BUILT)/flexdirect stage/bin/flexdirect; \
	put $(BUILT)/libflexdirect_cuda.so stage/lib/cuda/libcuda.so.1; \
	put $(BUILT)/libsoftgpu_cuda.so stage/lib/softgpu/libcuda.so.1; \
	put $(BUILT)/libsoftgpu_nvml.so stage/lib/softgpu/libnvidia-ml.so.1
	@ln -sfn libcuda.so.1 stage/lib/cuda/libcuda.so
	@ln -sfn libnvidia-ml.so.1 stage/lib/softgpu/libnvidia-ml.so
	@echo "staged: stage/bin/flexdirect, stage/lib/cuda, stage/lib/softgpu"

toolchain: $(NVCC) ## NVIDIA's compiler from Python wheels, about 300 MB, into ./toolchain

toolchain/nvidia/cu13/bin/nvcc:
	@echo "== NVIDIA's compiler into ./toolchain (from Python wheels)"
	python3 -m venv toolchain/venv
	toolchain/venv/bin/pip install --quiet --no-deps --target toolchain $(WHEELS)
	@chmod +x toolchain/nvidia/cu13/{bin,bin/crt,nvvm/bin}/*
	@touch $@

programs: $(PROGRAMS_BUILT) ## compile the CUDA programs of the conformance tests

target/conformance/%: conformance/programs/%.cu conformance/programs/proof.h | $(NVCC)
	@echo "nvcc $*"
	@mkdir -p $(@D)
	@$(NVCC) $(NVCC_FLAGS) $(CODE) $(OPTIONS) $< -o $@.new && mv $@.new $@

# Programs that need an option of their own, or that compile slowly: PTX alone is enough for them.
target/conformance/per_thread: OPTIONS := --default-stream per-thread
target/conformance/templates: OPTIONS := --extended-lambda
target/conformance/separate: OPTIONS := -rdc=true conformance/programs/separate/other.cu
target/conformance/separate: $(wildcard conformance/programs/separate/*)
$(addprefix target/conformance/,big_shared constants default_streams event_times many_modules \
    occupancy priorities sticky templates thrust): CODE := -gencode arch=compute_80,code=compute_80

target/conformance/saxpy-sass: CODE := -gencode arch=compute_80,code=sm_80
target/conformance/saxpy-sass: OPTIONS :=
target/conformance/saxpy-%: OPTIONS = --compress-mode=$*
target/conformance/saxpy-%: CODE := -gencode arch=compute_80,code=sm_80 \
    -gencode arch=compute_80,code=compute_80
target/conformance/saxpy-%: conformance/programs/saxpy.cu conformance/programs/proof.h | $(NVCC)
	@echo "nvcc saxpy-$*"
	@mkdir -p $(@D)
	@$(NVCC) $(NVCC_FLAGS) $(CODE) $(OPTIONS) $< -o $@.new && mv $@.new $@

target/conformance/%: conformance/programs/%.c | $(NVCC)
	@echo "cc $*"
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -I$(CUDA_TOOLKIT)/include $< -o $@.new -ldl
	@mv $@.new $@

kernels: $(KERNELS_BUILT) ## compile the kernels and their checks (ARCH=80, OPTIONS=)

$(KERNELS_FOLDER)/%: conformance/kernels/check_%.cu conformance/kernels/%.cu \
                     conformance/kernels/check.h conformance/programs/proof.h | $(NVCC)
	@echo "nvcc $* $(ARCH) $(OPTIONS)"
	@mkdir -p $(@D)
	@$(NVCC) $(NVCC_FLAGS) $(OPTIONS) -gencode arch=compute_$(ARCH),code=compute_$(ARCH) \
	    $< -o $@.new && mv $@.new $@

kernels-matrix: ## every kernel at three architectures and three sets of options (long)
	@conformance/kernels-matrix

test: ## build everything, compile the programs, run every test; ends with "N passed, N failed"
	@$(MAKE) build PROFILE=dev
	@$(MAKE) programs
	@$(MAKE) --jobs=$(shell nproc) kernels
	@.ci/test

check: ## format, lints, documentation, the tree's own rules, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	cargo test --quiet --package flexdirect-conformance --test tidy
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is not installed: licences not checked"; fi

bench: ## measure remote against native, interleaved
	@$(MAKE) build
	cargo bench --package flexdirect-bench

fuzz-smoke: ## every fuzz target for FUZZ_SECONDS (10), where there is a nightly compiler
	@.ci/fuzz-smoke

ptx-long: ## instructions on a hundred times as many operands (PTX_SEED=n: other ones)
	PTX_LONG=1 cargo test -p softgpu --test ptx_ieee --test ptx_integer --test ptx_bits \
	    --test ptx_convert --test ptx_convert_small --test ptx_select \
	    --test ptx_compare --test ptx_choose --test ptx_approximate --test ptx_video --test ptx_print \
	    --test ptx_warps

# The allocator of AddressSanitizer is asked for leaks too. The standard library is not sanitised:
# that needs its sources.
asan: ## the interpreter and its tests under AddressSanitizer, where there is a nightly compiler
	@if ! cargo +nightly --version >/dev/null 2>&1; then \
	echo "asan: no nightly compiler here: skipped"; exit 0; fi; \
	RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$(TARGET)/asan cargo +nightly test \
	    --package softgpu --target x86_64-unknown-linux-gnu --no-fail-fast --lib \
	    $(addprefix --test ,$(basename $(notdir $(wildcard softgpu/tests/ptx_*.rs))))

check-abi: ## compare the table of calls with NVIDIA's newest cuda.h
	@[ -x stage/bin/flexdirect ] || $(MAKE) build
	@if ! [ -e toolchain/header/nvidia/cu13/include/cuda.h ] && [ -z "$(CUDA_HEADERS)" ]; then \
	python3 -m venv toolchain/venv && toolchain/venv/bin/pip install --quiet --no-deps \
	    --target toolchain/header $(HEADER_WHEEL) || true; fi
	@stage/bin/flexdirect coverage --signatures | python3 conformance/check-abi.py \
	    $(or $(CUDA_HEADERS),toolchain/header/nvidia/cu13/include)

# The programs of others: `make wheels-numba` and the like.
wheels-%: ## CuPy, Numba, cuda-python, PyTorch on softgpu, natively and remote (wheels-cupy, ...)
	@conformance/wheels/run $*

demo: ## from a fresh machine to a kernel on another host's GPU (a software one)
	@conformance/demo

install: build ## copy what was built under PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/flexdirect/{cuda,softgpu}
	install stage/bin/flexdirect $(DESTDIR)$(PREFIX)/bin/
	install stage/lib/cuda/libcuda.so.1 $(DESTDIR)$(PREFIX)/lib/flexdirect/cuda/
	install stage/lib/softgpu/libcuda.so.1 $(DESTDIR)$(PREFIX)/lib/flexdirect/softgpu/
	install stage/lib/softgpu/libnvidia-ml.so.1 $(DESTDIR)$(PREFIX)/lib/flexdirect/softgpu/
	ln -sfn libcuda.so.1 $(DESTDIR)$(PREFIX)/lib/flexdirect/cuda/libcuda.so

clean: ## remove what was built (not the toolchain)
	cargo clean
	rm -rf stage target/conformance
