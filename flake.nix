{
  description = "Checks the network of NixOS containers before the rebuild, plans it, generates it, and rehearses it";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { nixpkgs, ... }:
    let
      # Where it is built: npm's name of the processor, and the hash of what `npm ci` installs there.
      systems = {
        x86_64-linux = {
          cpu = "x64";
          hash = "sha256-IvfwnISgGSsjr2iJNhZxms1dDH6kn5TzHHakqXq4aVA=";
        };
        aarch64-linux = {
          cpu = "arm64";
          hash = "sha256-Xzg37yvdhmXXMWX7Dr1Luzv5AJkvvesm6UxQLVs42PY=";
        };
      };

      packageFor =
        pkgs:
        let
          inherit (pkgs) lib stdenvNoCC nodejs;
          inherit (systems.${stdenvNoCC.hostPlatform.system}) cpu hash;
          inherit (lib.importJSON ./package.json) version;

          sourceOf =
            files:
            lib.fileset.toSource {
              root = ./.;
              fileset = lib.fileset.unions files;
            };

          # The lock names no places to download from, so npm itself fetches what it names; the hash holds it to that.
          modules = stdenvNoCC.mkDerivation {
            pname = "nspawn-netplan-modules";
            inherit version;
            src = sourceOf [
              ./package.json
              ./package-lock.json
              ./.npmrc
            ];
            nativeBuildInputs = [
              nodejs
              pkgs.cacert
            ];
            impureEnvVars = lib.fetchers.proxyImpureEnvVars;
            buildPhase = ''
              export HOME=$TMPDIR
              npm ci --ignore-scripts --no-audit --no-fund --os=linux --cpu=${cpu} --libc=glibc
            '';
            installPhase = ''
              rm node_modules/.package-lock.json
              mkdir $out
              mv node_modules $out
            '';
            dontFixup = true;
            outputHashMode = "recursive";
            outputHash = hash;
          };
        in
        stdenvNoCC.mkDerivation {
          pname = "nspawn-netplan";
          inherit version;
          src = sourceOf [
            ./package.json
            ./tsconfig.json
            ./tsconfig.build.json
            ./docs/rules
            # The code cache is made by a check of one.
            ./examples
            ./schemas
            ./scripts
            ./src
          ];
          nativeBuildInputs = [ nodejs ];
          buildInputs = [ nodejs ];
          buildPhase = ''
            ln -s ${modules}/node_modules
            node scripts/build.mjs
          '';
          installPhase = ''
            mkdir -p $out/bin $out/lib/nspawn-netplan
            cp -r dist schemas package.json $out/lib/nspawn-netplan
            chmod +x $out/lib/nspawn-netplan/dist/netplan.cjs
            ln -s $out/lib/nspawn-netplan/dist/netplan.cjs $out/bin/netplan
            ln -s $out/lib/nspawn-netplan/dist/netplan.cjs $out/bin/nspawn-netplan
          '';
          # `nix build .#default.modules` tells the hash of other dependencies.
          passthru = { inherit modules; };
          meta = {
            description = "Checks the network of NixOS containers before the rebuild";
            license = lib.licenses.mit;
            mainProgram = "netplan";
            platforms = lib.attrNames systems;
          };
        };

      eachSystem = make: nixpkgs.lib.mapAttrs (system: _: make nixpkgs.legacyPackages.${system}) systems;
    in
    {
      packages = eachSystem (pkgs: {
        default = packageFor pkgs;
      });

      apps = eachSystem (pkgs: {
        default = {
          type = "app";
          program = "${packageFor pkgs}/bin/netplan";
        };
      });

      checks = eachSystem (pkgs: {
        examples = pkgs.runCommand "nspawn-netplan-examples" { } ''
          ${packageFor pkgs}/bin/netplan check ${./examples}/*.yaml
          touch $out
        '';
      });

      # For `pkgs.nspawn-netplan`.
      overlays.default = final: _: {
        nspawn-netplan = packageFor final;
      };
    };
}
